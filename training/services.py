"""What people do with trainings and LoRAs. Plain values in, rows out; both skins and the demo call these."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.db import transaction

from characters.models import Character
from isengard import storage
from isengard.engine import catalog, offers
from isengard.engine.words import counted
from isengard.errors import Conflict, Invalid, NotFound
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from isengard.logs import correlation
from training import bases, carrying, experience, freezing, history, planning, presets, prompts, user_presets
from training.carrying import Beginning
from training.models import Lora, TrainingRun, TrainingSweep

FEW_PHOTOS = 5
FRESH = Beginning()


def start_training(
    *,
    character: Character,
    preset: str,
    base: str,
    values: dict[str, Any],
    synthetic: bool = True,
    correlation_id: str = "",
    beginning: Beginning = FRESH,
    sweep: TrainingSweep | None = None,
    differs: str = "",
) -> TrainingRun:
    """A queued training with everything it needs frozen. `values` win over the preset's; without `synthetic` the
    pictures that the studio made itself are left out. `differs` tells it from others of its sweep in the queue.

    Invalid: no photos, an unknown or impossible value. Conflict: the very same training waits or runs. Unavailable: the
    base model is not on disk or too large for this machine, or the disk is full."""
    bases.require_trainable(base)
    bases.require_space()
    images = list(character.images.for_training(synthetic=synthetic).prefetch_related("crops"))
    if not images:
        raise _no_images(character)
    chosen = user_presets.named(base, preset, len(images))
    params = training_params(base, {**chosen.values, **values})
    draft = TrainingRun(
        character=character,
        preset=presets.label_of(base, chosen, params),
        base=base,
        params=params,
        trigger_word=character.trigger_word,
        class_word=prompts.class_word(character.description, *(image.caption for image in images)),
        warnings=[*warnings(character, len(images)), *freezing.warnings(images, params)],
        sweep=sweep,
    )
    return submit(
        draft,
        lambda job: [freezing.freeze(image, job, character.trigger_word, params) for image in images],
        label=f"Training {character.name}, {differs or draft.preset_title}",
        beginning=beginning,
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


def submit(
    draft: TrainingRun,
    freeze: Callable[[Job], list[freezing.Photo]],
    *,
    label: str,
    beginning: Beginning,
    correlation_id: str,
    retry_of: Job | None = None,
) -> TrainingRun:
    """Queues a run whose fields are filled in but for its job and photos; `freeze` puts those into the job's folder.

    Nothing is left behind when it fails. Conflict: the very same training waits or runs already. Unavailable: it does
    not fit into the machine's memory or on its disk."""
    with transaction.atomic(), ExitStack() as undo:
        _lock(draft.character)
        job = jobs.submit(kind="training", label=label[:200], correlation_id=correlation_id, retry_of=retry_of)
        undo.callback(storage.remove, storage.run_key(job.public_id))
        carrying.bring(beginning, job)
        draft.job, draft.photos = job, freeze(job)
        draft.start, draft.parent, draft.begun_at = beginning.start, beginning.parent, beginning.step
        draft.params = freezing.settle(draft.params, draft.photos)
        planning.settle(draft)
        _refuse_same(draft)
        draft.save()
        history.carry(draft)
        undo.pop_all()
    return draft


def _lock(character: Character) -> None:
    """Makes two simultaneous clicks wait for each other. NotFound: the character was deleted meanwhile."""
    if not Character.objects.select_for_update(no_key=True).filter(pk=character.pk).exists():
        raise NotFound("not_found", f"Character {character.public_id} not found")


def _refuse_same(draft: TrainingRun) -> None:
    """Many may wait, but not twice the same: it would give the same LoRA."""
    alike = {name: getattr(draft, name) for name in ("character", "base", "params", "trigger_word", "start", "parent")}
    for other in TrainingRun.objects.filter(**alike, job__in=Job.objects.active()).select_related("job"):
        if [_identity(photo) for photo in other.photos] == [_identity(photo) for photo in draft.photos]:
            name, job = draft.character.name, other.job.public_id
            text = f"{name} has this very training already ({job}). Change something, wait for it, or cancel it first."
            raise Conflict("already_training", text)


def _identity(photo: freezing.Photo) -> tuple[Any, ...]:
    """The picture and its words, whatever the run's own files are called."""
    return photo["sha256"], photo["caption"], photo.get("crops"), bool(photo.get("mask"))


def again(*, run: TrainingRun, values: dict[str, Any] | None = None, beginning: Beginning | None = None) -> TrainingRun:
    """A new run with the same frozen photos and parameters but for `values`. Errors as at the first start.

    `beginning`: where it takes up, None for where `run` had begun."""
    bases.require_trainable(run.base)
    bases.require_space()
    names = ("character", "preset", "base", "params", "trigger_word", "class_word", "warnings", "sweep")
    draft = TrainingRun(**{name: getattr(run, name) for name in names})
    if values:
        draft.preset, draft.sweep = presets.CUSTOM, None
        draft.params = training_params(run.base, {**experience.complete(run), **values})
    return submit(
        draft,
        lambda job: [freezing.refreeze(photo, run.job, job) for photo in run.photos],
        label=run.job.label,
        beginning=beginning or carrying.beginning_of(run),
        correlation_id=correlation.current(),
        retry_of=run.job,
    )


def warnings(character: Character, photos: int) -> list[str]:
    """What may spoil the result although the training runs."""
    found = []
    if photos < FEW_PHOTOS:
        found.append(f"Only {counted(photos, 'photo')}: the likeness needs at least {FEW_PHOTOS}, better 10 to 20.")
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

    Queued pictures that wanted it fail with a sentence; pictures made with it stay. Its training cannot go on then."""
    key, run = lora.file, lora.run
    with transaction.atomic():
        withdraw_lora(lora=lora)
        transaction.on_commit(lambda: erase_lora(key=key, run=run))


def withdraw_lora(*, lora: Lora) -> None:
    """Deletes the row alone; the newest remaining version becomes the active one."""
    character, was_active = lora.character_id, lora.is_active
    with transaction.atomic():
        lora.delete()
        newest = Lora.objects.filter(character=character).order_by("-version").first()
        if was_active and newest is not None:
            set_active(lora=newest)


def erase_lora(*, key: str, run: TrainingRun | None) -> None:
    """What a version leaves behind: its files, and what its training needed to go on."""
    remove_lora_files(key)
    if run is not None:
        carrying.forget(run)


def remove_lora_files(key: str) -> None:
    for file in (key, str(Path(key).with_suffix(".json")), kohya_key(key)):
        storage.remove(file)


def kohya_key(file: str) -> str:
    """Where a LoRA is kept in kohya's style, once that was asked for: beside it, so that they go together."""
    return str(Path(file).with_stem(f"{Path(file).stem}-kohya"))
