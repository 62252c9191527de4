"""How a LoRA file becomes a version of its character: a name of its own, the next number, a row. And what it fits.

Three origins: a finished training, a checkpoint that somebody preferred, an uploaded file (library/receiving.py)."""

import json
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from characters.models import Character
from isengard import storage
from isengard.engine import catalog, lora_file
from isengard.engine.errors import EngineError
from isengard.errors import Conflict, Invalid, NotFound
from training.models import Checkpoint, Lora, TrainingRun, VersionCounter
from training.services import set_active


def keep(*, character: Character, path: Path, sha256: str, **fields: Any) -> Lora:
    """The file at `path` as the character's next version, not active. The caller holds the transaction.

    The file comes first and the row follows it; a file whose transaction failed is overwritten by the next attempt."""
    version = _next_version(character)
    key = storage.lora_key(character.public_id, _name(character, version, sha256))
    storage.link(path, storage.absolute(key))
    return Lora.objects.create(character=character, version=version, file=key, sha256=sha256, is_active=False, **fields)


def publish(run: TrainingRun, result: dict[str, Any]) -> Lora:
    """The run's LoRA as version n of its character, active. The caller holds the transaction that completes the job."""
    lora = keep(
        character=run.character,
        path=Path(result["path"]),
        sha256=result["sha256"],
        run=run,
        base=run.base,
        base_version=catalog.get(run.base).version,
        family=catalog.get(run.base).family,
        size_bytes=result["size_bytes"],
        rank=result["rank"],
        steps=result["steps"],
        final_loss=result.get("final_loss"),
        trigger_word=run.trigger_word,
    )
    run.version = lora.version
    run.save(update_fields=["version"])
    _write_config(run, lora, result)
    return set_active(lora=lora)


def publish_checkpoint(*, checkpoint: Checkpoint) -> Lora:
    """A checkpoint as a version of its own, active; the checkpoint stays where it is.

    Conflict: it is a version already. NotFound: its file is gone. Invalid: its file is damaged."""
    run, path = checkpoint.run, storage.absolute(checkpoint.file)
    with transaction.atomic():
        # The counter's lock makes two simultaneous clicks wait for each other.
        VersionCounter.objects.select_for_update().get_or_create(character=run.character)
        _refuse_second(checkpoint)
        if not path.is_file():
            why = checkpoint.deleted_because or "its file is gone"
            raise NotFound("checkpoint_gone", f"Step {checkpoint.step} cannot be used any more: {why}.")
        header = _inspected(path)
        lora = keep(
            character=run.character,
            path=path,
            sha256=storage.sha256(path),
            checkpoint=checkpoint,
            origin=Lora.Origin.CHECKPOINT,
            base=run.base,
            base_version=header.base_version or catalog.get(run.base).version,
            family=catalog.get(run.base).family,
            size_bytes=header.size_bytes,
            rank=header.rank,
            steps=checkpoint.step,
            final_loss=checkpoint.loss,
            trigger_word=run.trigger_word,
        )
        return set_active(lora=lora)


def _inspected(path: Path) -> lora_file.LoraHeader:
    try:
        return lora_file.inspect(path)
    except EngineError as error:
        raise Invalid(error.code, error.message) from error


def _refuse_second(checkpoint: Checkpoint) -> None:
    if (known := Lora.objects.select_related("character").filter(checkpoint=checkpoint).first()) is not None:
        raise Conflict("already_published", f"Step {checkpoint.step} is {known} already.")


def _next_version(character: Character) -> int:
    counter, _ = VersionCounter.objects.select_for_update().get_or_create(character=character)
    used = Lora.objects.filter(character=character).aggregate(Max("version"))["version__max"] or 0
    counter.last = max(counter.last, used) + 1
    counter.save(update_fields=["last"])
    return counter.last


def _name(character: Character, version: int, sha256: str) -> str:
    """E.g. mira-v3-0a1b2c3d: the digest keeps two files of one name apart wherever they are copied to."""
    slug = slugify(character.name)[:40] or character.public_id
    return f"{slug}-v{version}-{sha256[:8]}"


def _write_config(run: TrainingRun, lora: Lora, result: dict[str, Any]) -> None:
    """How the LoRA was made, beside it, once under its own name and once (the newest) as training_config.json."""
    config = {
        "job_id": run.job.public_id,
        "character_id": run.character.public_id,
        "trigger_word": run.trigger_word,
        "base_model": run.base,
        "base_version": lora.base_version,
        "version": lora.version,
        "config": {"method": "lora", **run.params},
        "photos": [{key: photo[key] for key in ("id", "name", "sha256", "caption")} for photo in run.photos],
        "output_path": lora.file,
        "sha256": lora.sha256,
        "final_loss": lora.final_loss,
        "total_steps": lora.steps,
        "training_time_seconds": result.get("seconds"),
        "samples_generated": run.samples.count(),
    }
    path = storage.absolute(lora.file)
    for target in (path.with_suffix(".json"), path.with_name("training_config.json")):
        with storage.replacing(target) as part:
            part.write_text(json.dumps(config, indent=2))


def require_usable(lora: Lora, base: str) -> None:
    """Invalid: trained for another base model or for earlier weights of it, or its file is gone."""
    made_for, wanted = catalog.get(lora.base), catalog.get(base)
    if not catalog.shared(lora.base, base):
        raise Invalid(
            "wrong_base",
            f"{lora} was trained for {made_for.label} and does not fit {wanted.label}. Choose {made_for.label}, "
            f"or train on {wanted.label}.",
        )
    if lora.base_version != made_for.version:
        raise Invalid(
            "old_base",
            f"{lora} was trained on {made_for.label} {lora.base_version}, and {made_for.label} is now version "
            f"{made_for.version}. Train {lora.character.name} again; the photos and captions are all still there.",
        )
    if not storage.absolute(lora.file).is_file():
        raise Invalid(
            "lora_missing", f"The file of {lora} is gone. Choose another version, or train the character again."
        )
