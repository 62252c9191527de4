"""Jobs in which a model from disk writes captions: a try on three photos, or all of a character's. Knows no request.

What a person wrote is only replaced where they asked for it, also when they write while the job runs."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from characters.captions import lint, services
from characters.captions.services import BY_MACHINE, Images, author, with_author
from characters.captions.text import MAX_CAPTION
from characters.models import Character, DatasetTask, ReferenceImage
from isengard.engine import captioners
from isengard.engine.captioners import Captioner
from isengard.engine.errors import EngineError
from isengard.errors import Invalid, NotFound, Unavailable
from isengard.jobs import services as jobs
from isengard.jobs.models import Job

TRY = "try"
# Whose captions a model may replace.
MODES = {
    "empty": "only photos without a caption",
    "machine": "also captions that a model or a template wrote",
    "all": "every caption, also those written by hand",
}
TRIED = 3
# One request's worth; a model takes a second or more for each.
MOST = 2000


def offered() -> list[Captioner]:
    """Every captioner that is known or found, each with the reason why it cannot be used, if there is one."""
    return captioners.offered(settings.MODELS_DIR)


def located(key: str) -> Captioner:
    """Unavailable: it is not on this machine, with what to put where."""
    try:
        return captioners.locate(key, settings.MODELS_DIR)
    except EngineError as error:
        raise Unavailable(error.code, error.message) from error


def start_try(
    *, character: Character, models: Sequence[str], detail: str = "detailed", strip: bool = True
) -> DatasetTask:
    """A job that lets each model describe the same three photos and changes nothing. Invalid, Unavailable."""
    images = list(_described(character).order_by("pk").values_list("public_id", flat=True))
    # First, middle and last: neighbours are often of one occasion.
    places = sorted({0, len(images) // 2, len(images) - 1}) if images else []
    chosen = [images[place] for place in places][:TRIED]
    return _submit(character, TRY, models, detail, strip, chosen)


def start_all(
    *, character: Character, model: str, mode: str = "empty", detail: str = "detailed", strip: bool = True
) -> DatasetTask:
    """A job that writes the captions of a character's photos. Invalid: nothing to write, or no such mode."""
    if mode not in MODES:
        raise Invalid("bad_mode", f"There is no way to replace captions called {mode!r}. Use {', '.join(MODES)}.")
    images = with_author(_described(character)).order_by("pk")
    chosen = [image.public_id for image in images.iterator(chunk_size=500) if replaceable(image, mode)][:MOST]
    if not chosen:
        raise Invalid("nothing_to_caption", f"There is nothing to write: {MODES[mode]}, and no photo here is such.")
    return _submit(character, mode, [model], detail, strip, chosen)


def again(*, task: DatasetTask) -> DatasetTask:
    """The same once more, as a retry of its job; what it has written meanwhile stays."""
    asked = {name: task.options[name] for name in ("mode", "models", "detail", "strip", "images")}
    return _queued(task.character, {**asked, **_fresh()}, retry_of=task.job)


def _described(character: Character) -> Images:
    found: Images = ReferenceImage.objects.filter(character=character, missing_at__isnull=True)
    return found


def replaceable(image: ReferenceImage, mode: str) -> bool:
    """Whether a model may write this caption under a mode."""
    by = author(image)
    return mode == "all" or not by or (mode == "machine" and by in BY_MACHINE)


def _submit(
    character: Character, mode: str, models: Sequence[str], detail: str, strip: bool, images: list[str]
) -> DatasetTask:
    if not images:
        raise Invalid("no_images", f"{character.name} has no photos yet. Add some, then let a model describe them.")
    found = [located(key) for key in dict.fromkeys(models)]
    if not found:
        raise Invalid("no_captioner", "Choose a model that shall describe the photos.")
    if detail not in captioners.DETAILS["florence2"]:
        raise Invalid("bad_detail", f"A caption can be short, detailed or long, not {detail!r}.")
    asked = {"mode": mode, "models": [one.key for one in found], "detail": detail, "strip": strip, "images": images}
    return _queued(character, {**asked, **_fresh()})


def _fresh() -> dict[str, Any]:
    """What a job counts while it works; `done` is how many photos an earlier attempt got through."""
    return {"done": 0, "written": 0, "kept": 0, "failed": [], "results": {}}


def _queued(character: Character, options: dict[str, Any], retry_of: Job | None = None) -> DatasetTask:
    with transaction.atomic():
        if not Character.objects.select_for_update(no_key=True).filter(pk=character.pk).exists():
            raise NotFound("not_found", f"Character {character.public_id} not found")
        job = jobs.submit(kind="caption", label=f"Captions of {character.name}", retry_of=retry_of)
        return DatasetTask.objects.create(job=job, character=character, kind="caption", options=options)


def take(task: DatasetTask, index: int, model: str, text: str, error: str) -> None:
    """What a model said of one photo: kept to be looked at (a try), or written. Saves the task's counts."""
    public_id = task.options["images"][index]
    if error:
        task.options["failed"].append({"image": public_id, "reason": error})
    elif task.options["mode"] == TRY:
        task.options["results"].setdefault(public_id, {})[model] = _finished(task, text)
    else:
        task.options["written" if _write(task, public_id, text) else "kept"] += 1
    if task.options["mode"] != TRY:
        task.options["done"] = index + 1
    task.save(update_fields=["options"])


def _finished(task: DatasetTask, text: str) -> str:
    """The model's words, without fixed traits where that was asked for."""
    return (lint.strip_traits(text) if task.options["strip"] else text)[:MAX_CAPTION]


def _write(task: DatasetTask, public_id: str, text: str) -> bool:
    """False: deleted, moved, or written by a person since the job began."""
    images = ReferenceImage.objects.select_for_update(of=("self",), no_key=True)
    image = images.filter(public_id=public_id, character=task.character).first()
    if image is None or not replaceable(image, task.options["mode"]):
        return False
    return services.write(image=image, text=_finished(task, text), by="model")
