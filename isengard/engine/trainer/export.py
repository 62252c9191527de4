"""The finished LoRA: what its header tells, what the job's result tells, and the proof that it loads and acts.

Knows the file format's module and the family; no loop, no Django."""

import hashlib
from pathlib import Path

from isengard.engine import lora_file, parameters, sampling
from isengard.engine.errors import EngineError
from isengard.engine.events import Event
from isengard.engine.families.base import Embeds, Family
from isengard.engine.specs import TrainSpec
from isengard.engine.trainer.lora import Lora

CHECK_STEPS = 4
NO_EFFECT = "The finished LoRA changes nothing. Train longer or with a higher learning rate."


def provenance(spec: TrainSpec, lora: Lora, step: int) -> lora_file.Provenance:
    """What the header of the file after `step` says about its making."""
    params = {**parameters.BEFORE, **spec.params}
    return lora_file.Provenance(
        base_key=spec.base.key,
        family=spec.base.family,
        title=spec.title,
        trigger_word=spec.trigger_word,
        class_word=spec.class_word,
        rank=lora.rank,
        steps=step,
        learning_rate=params["learning_rate"],
        seed=params["seed"],
        images=len(spec.images),
        class_images=params["class_images"],
        resolution=params["resolution"],
        batch_size=params["batch_size"],
        caption_dropout=params["caption_dropout"],
        targets=lora.targets,
        alpha=lora.alpha,
        optimizer=params["optimizer"],
        lr_schedule=params["lr_schedule"],
    )


def describe(path: Path) -> Event:
    """Path, size and SHA-256 of a file, after the same header check that strangers' files get."""
    header = lora_file.inspect(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "sha256": sha256, "size_bytes": header.size_bytes}


def check(family: Family, path: Path, embeds: Embeds, empty: Embeds) -> Event:
    """Loads the file as anybody would (diffusers' own loader) and draws with and without it, same seed.

    `effect` is the mean absolute difference of the pixels, 0 … 1 (white). EngineError no_effect: none at all."""
    usual = sampling.usual_look(family.base.key)
    look = sampling.Look(usual.width, usual.height, CHECK_STEPS, usual.guidance)
    plain = sampling.draw(family, embeds, empty, seeds=[0], look=look)
    family.make_pipeline().load_lora_weights(str(path), adapter_name="check")
    worn = sampling.draw(family, embeds, empty, seeds=[0], look=look)
    family.transformer.delete_adapters("check")
    before, after = (family.decode(latents).clamp(-1, 1) / 2 for latents in (plain, worn))
    effect = (after - before).abs().mean().item()
    if not effect > 0:
        raise EngineError("no_effect", NO_EFFECT)
    return {"loads_in_diffusers": True, "effect": round(effect, 6)}
