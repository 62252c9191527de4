"""What people do with trainings and LoRAs. Plain values in, rows out; both skins and the demo call these."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.db import transaction

from characters.models import Character, ReferenceImage
from isengard import storage
from isengard.engine import catalog, offers
from isengard.errors import Conflict, Invalid, NotFound
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from isengard.logs import correlation
from training import bases, freezing, presets, prompts
from training.models import Lora, TrainingRun

FEW_PHOTOS = 5


def start_training(
    *,
    character: Character,
    preset: str,
    base: str,
    values: dict[str, Any],
    synthetic: bool = True,
    correlation_id: str = "",
) -> TrainingRun:
    """A queued training with everything it needs frozen. `values` win over the preset's; without `synthetic` the
    pictures that the studio made itself are left out.

    Invalid: no photos, an unknown or impossible value. Conflict: the character is training already. Unavailable: the
    base model is not on disk or too large for this machine, or the disk is full."""
    bases.require_trainable(base)
    bases.require_space()
    images = list(character.images.for_training(synthetic=synthetic).prefetch_related("crops"))
    if not images:
        raise _no_images(character)
    chosen = presets.named(base, preset, len(images))
    params = training_params(base, {**chosen.values, **values})
    return _submit(
        character,
        images,
        preset=presets.label_of(base, chosen, params),
        base=base,
        params=params,
        correlation_id=correlation_id,
    )


def _no_images(character: Character) -> Invalid:
    if character.images.exists():
        why = "Every photo of this character is kept for reference, left out or blocked. Choose some to train on."
        return Invalid("no_images", why)
    return Invalid("no_images", "No training images uploaded for this character. Add 10 to 20 photos, then train.")


def training_params(base: str, values: dict[str, Any]) -> dict[str, Any]:
    """The run's parameters, complete. Invalid: a method we do not have, a value out of range, an unknown name."""
    values = dict(values)
    method = values.pop("method", "lora")
    if method not in {"lora", None}:
        raise Invalid("unsupported_method", f"The training method {method!r} is not available here. Use lora.")
    return bases.clean(catalog.training_params(base), values, offers.unwired_training(base))


def _submit(
    character: Character,
    images: list[ReferenceImage],
    *,
    preset: str,
    base: str,
    params: dict[str, Any],
    correlation_id: str,
) -> TrainingRun:
    with transaction.atomic(), ExitStack() as undo:
        _refuse_second(character)
        job = jobs.submit(kind="training", label=f"Training {character.name}", correlation_id=correlation_id)
        undo.callback(storage.remove, storage.run_key(job.public_id))
        photos = [freezing.freeze(image, job, character.trigger_word, params) for image in images]
        run = TrainingRun.objects.create(
            job=job,
            character=character,
            preset=preset,
            base=base,
            params=freezing.settle(params, photos),
            trigger_word=character.trigger_word,
            class_word=prompts.class_word(character.description, *(image.caption for image in images)),
            photos=photos,
            warnings=[*warnings(character, len(images)), *freezing.warnings(images, params)],
        )
        undo.pop_all()
    return run


def _refuse_second(character: Character) -> None:
    """One training per character at a time; the row lock makes two simultaneous clicks wait for each other."""
    if not Character.objects.select_for_update(no_key=True).filter(pk=character.pk).exists():
        raise NotFound("not_found", f"Character {character.public_id} not found")
    running = (
        TrainingRun.objects.filter(character=character, job__in=Job.objects.active()).select_related("job").first()
    )
    if running is not None:
        raise Conflict(
            "already_training",
            f"{character.name} is already training ({running.job.public_id}). Wait until it ends, or cancel it first.",
        )


def again(*, run: TrainingRun) -> TrainingRun:
    """A new run with the same frozen parameters and photos. Conflict, Invalid and Unavailable as at the first start."""
    bases.require_trainable(run.base)
    bases.require_space()
    with transaction.atomic(), ExitStack() as undo:
        _refuse_second(run.character)
        old = run.job
        job = jobs.submit(kind="training", label=old.label, correlation_id=correlation.current(), retry_of=old)
        undo.callback(storage.remove, storage.run_key(job.public_id))
        copied = TrainingRun.objects.create(
            job=job,
            character=run.character,
            preset=run.preset,
            base=run.base,
            params=run.params,
            trigger_word=run.trigger_word,
            class_word=run.class_word,
            photos=[freezing.refreeze(photo, old, job) for photo in run.photos],
            warnings=run.warnings,
        )
        undo.pop_all()
    return copied


def warnings(character: Character, photos: int) -> list[str]:
    """What may spoil the result although the training runs."""
    found = []
    if photos < FEW_PHOTOS:
        found.append(f"Only {photos} photos: the likeness needs at least {FEW_PHOTOS}, better 10 to 20.")
    if Character.objects.filter(trigger_word=character.trigger_word).exclude(pk=character.pk).exists():
        found.append(
            f"Another character also uses the trigger word {character.trigger_word!r}: one may look like the other."
        )
    return found


def set_active(*, lora: Lora) -> Lora:
    """Makes this version the one that Generate offers first for its character."""
    with transaction.atomic():
        # The old one first: the constraint allows one active LoRA per character at any moment.
        Lora.objects.filter(character=lora.character_id, is_active=True).exclude(pk=lora.pk).update(is_active=False)
        Lora.objects.filter(pk=lora.pk).update(is_active=True)
    lora.refresh_from_db()
    return lora


def delete_lora(*, lora: Lora) -> None:
    """Deletes the row and, once that is sure, the file; the newest remaining version becomes the active one.

    Queued pictures that wanted it fail with a sentence; pictures made with it stay."""
    character, key, was_active = lora.character_id, lora.file, lora.is_active
    with transaction.atomic():
        lora.delete()
        newest = Lora.objects.filter(character=character).order_by("-version").first()
        if was_active and newest is not None:
            set_active(lora=newest)
        transaction.on_commit(lambda: remove_lora_files(key))


def remove_lora_files(key: str) -> None:
    for file in (key, str(Path(key).with_suffix(".json")), kohya_key(key)):
        storage.remove(file)


def kohya_key(file: str) -> str:
    """Where a LoRA is kept in kohya's style, once that was asked for: beside it, so that they go together."""
    return str(Path(file).with_stem(f"{Path(file).stem}-kohya"))
