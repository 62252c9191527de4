"""What was recognised in an uploaded LoRA, as plain data that both skins show. Reads headers, decides nothing."""

import json
from dataclasses import dataclass
from typing import Any

from isengard.engine import catalog
from isengard.engine.lora_file import LoraHeader
from isengard.engine.words import counted
from training.models import Lora

STYLES = {
    "diffusers": "diffusers",
    "peft": "PEFT, as raw training scripts write it",
    "kohya": "kohya (sd-scripts, FluxGym, OneTrainer)",
    "comfyui": "ComfyUI (BFL's names)",
}
LISTED = 20
# Texts of other tools that say how a LoRA came to be, in the order they are shown. Names only, never a path.
TOLD = {
    "modelspec.title": "Title",
    "modelspec.author": "Author",
    "modelspec.license": "Licence",
    "modelspec.date": "Made",
    "modelspec.architecture": "Architecture",
    "modelspec.usage_hint": "Usage",
    "ss_base_model_version": "Base model",
    "ss_network_dim": "Rank",
    "ss_network_alpha": "Alpha",
    "ss_learning_rate": "Learning rate",
    "ss_optimizer": "Optimizer",
    "ss_num_train_images": "Photos",
    "ss_resolution": "Resolution",
    "ss_seed": "Seed",
    "ss_training_comment": "Comment",
}
LONGEST = 200


@dataclass(frozen=True)
class Seen:
    """What a look at the weights adds to the header: its base, number formats, whether it is diffusers' style."""

    base: str
    dtype: str
    canonical: bool


def report(
    header: LoraHeader, seen: Seen, *, filename: str, sha256: str, kept_as_is: bool, lora: Lora
) -> dict[str, Any]:
    """`layers` counts what is changed, `text_encoder` what is not used, `told` what the file says of itself."""
    doubles = {layer.module.split(".")[1] for layer in header.layers if layer.module.startswith("transformer_blocks.")}
    singles = {layer.module.split(".")[1] for layer in header.layers if layer.module.startswith("single_")}
    return {
        "file": filename[-LONGEST:],
        "sha256": sha256,
        "size_bytes": header.size_bytes,
        "style": header.style,
        "style_label": STYLES[header.style],
        "base": seen.base,
        "tensors": header.tensors,
        "layers": len(header.layers),
        "double_blocks": len(doubles),
        "single_blocks": len(singles),
        "rank": lora.rank,
        "dtype": seen.dtype,
        "kept_as_is": kept_as_is,
        "text_encoder": {"count": len(header.text), "keys": list(header.text[:LISTED])},
        "told": {name: header.metadata[name][:LONGEST] for name in TOLD if header.metadata.get(name)},
        "notes": _notes(header, seen, sha256, lora),
    }


def _notes(header: LoraHeader, seen: Seen, sha256: str, lora: Lora) -> list[str]:
    """Sentences about what may surprise."""
    notes, base = [], catalog.get(seen.base)
    if not seen.canonical:
        notes.append("It is kept in diffusers' key style; what it does is the same.")
    if header.text:
        left = f"{counted(len(header.text), 'tensor')} for text encoders {'is' if len(header.text) == 1 else 'are'}"
        notes.append(f"{left} left out: text encoders stay as they are here.")
    if header.base_version is None and base.version > 1:
        notes.append(
            f"It does not say which weights of {base.label} it was trained on; today's (version {base.version}) are "
            "taken for granted."
        )
    if lora.is_outdated:
        notes.append(f"It was trained on {base.label} {lora.base_version}, which is not the one of today.")
    if lora.trigger_word != lora.character.trigger_word:
        notes.append(f"Its trigger word is {lora.trigger_word}, not {lora.character.trigger_word}.")
    notes += [f"The same file is also {other}." for other in _elsewhere(sha256, lora)]
    return notes


def _elsewhere(sha256: str, lora: Lora) -> list[Lora]:
    same = Lora.objects.filter(sha256=sha256) | Lora.objects.filter(report__sha256=sha256)
    return list(same.exclude(pk=lora.pk).select_related("character")[:3])


def told(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What the file says of itself, with labels."""
    return [(label, report["told"][name]) for name, label in TOLD.items() if name in report.get("told", {})]


def steps(texts: dict[str, str]) -> int:
    """How long it was trained, 0 where the file does not say: sd-scripts' and ai-toolkit's words."""
    if (found := texts.get("ss_steps", "")).isdecimal():
        return int(found[:12])
    try:
        info = json.loads(texts.get("training_info", "{}"))
    except (ValueError, RecursionError):
        return 0
    step = info.get("step") if isinstance(info, dict) else None
    return step if isinstance(step, int) and step > 0 else 0
