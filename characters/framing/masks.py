"""Where the person is in a photo: masks drawn by people, by a job, or taken away. A grey PNG of the photo's size each.

What a person drew is kept for an hour after it was replaced or removed. Knows rows and files; the engine finds people
in pictures, and pages show them."""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core import signing
from django.db import transaction
from PIL import Image

from characters import photos
from characters.models import DatasetTask, ImageQuerySet, ReferenceImage
from isengard import storage
from isengard.engine import confined
from isengard.errors import Conflict, Invalid, NotFound
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from isengard.logs import correlation

KIND = "mask"
SHAPES = {"person": "Person", "face": "Face"}
# Pages draw on a canvas of at most this many pixels a side: browsers on phones allow no larger ones than 16 million
# pixels, and the trainer reads a mask in cells of 8 or 16 pixels of a bucket that is no larger than this.
CANVAS_SIDE = 1536
MOST_PER_JOB = 1000  # photos: some minutes of work, and a list that is quickly read again at every mask
UNDO_SECONDS = 3600  # as long as what lies in the volume's tmp is kept
MOST_UNDONE = 500  # masks named in one token: it has to fit into an address
WHITE = 128  # and above is the person, where all or nothing is asked


def canvas_size(image: ReferenceImage) -> tuple[int, int]:
    """Pixels of the canvas that a photo's mask is drawn on."""
    scale = min(CANVAS_SIDE / max(image.width, image.height), 1.0)
    return max(round(image.width * scale), 1), max(round(image.height * scale), 1)


def save(*, image: ReferenceImage, file: photos.Readable) -> ReferenceImage:
    """A mask drawn by a person: white is the person, black the background, grey in between.

    Invalid: no picture, another size than the photo's (or its canvas'), or nothing but black or white. Conflict: the
    photo's file is gone."""
    if image.missing:
        raise Conflict("photo_missing", f"The file of {image.name} is gone. Upload the photo again, then mask it.")
    photos.require_space()
    with photos.received(file) as (path, _):
        clean = path.with_name("mask")
        largest = photos.LARGEST_CLEAN * settings.PHOTO_MAX_BYTES
        answer = confined.decode(path, clean, min_side=1, largest_file=largest, grey=True)
        if "code" in answer:
            raise Invalid(answer["code"], answer["reason"])
        with Image.open(clean, formats=("PNG",)) as drawn:
            return _stored(image, _fitting(image, drawn))


def _fitting(image: ReferenceImage, drawn: Image.Image) -> Image.Image:
    """The mask in the photo's size. Invalid: it was not made for this photo, or says nothing."""
    size = (image.width, image.height)
    if drawn.size not in {size, canvas_size(image)}:
        text = (
            f"The mask is {drawn.width}×{drawn.height} pixels, but the photo is {image.width}×{image.height}. "
            "Export the mask in the photo's size."
        )
        raise Invalid("mask_size", text)
    counts = drawn.convert("L").histogram()
    background, person = sum(counts[:WHITE]), sum(counts[WHITE:])
    if not background or not person:
        what = "person" if person else "background"
        text = f"The mask calls the whole photo {what}. Paint the person white and leave the rest black."
        raise Invalid("mask_says_nothing", text)
    return drawn.convert("L").resize(size, Image.Resampling.BILINEAR)


def _stored(image: ReferenceImage, mask: Image.Image) -> ReferenceImage:
    _set_aside(image.public_id, image.mask, image.mask_by)
    key = storage.mask_key(image.character.public_id, image.public_id)
    with storage.replacing(storage.absolute(key)) as part:
        mask.save(part, "PNG", optimize=True)
    image.mask, image.mask_by = key, "user"
    _said(image)
    return image


def _said(image: ReferenceImage) -> None:
    ReferenceImage.objects.filter(pk=image.pk).update(mask=image.mask, mask_by=image.mask_by)


@dataclass(frozen=True)
class Removed:
    """How many masks went, and the token that `undo` takes: "" when people drew none of them, or too many to name."""

    count: int
    undo: str = ""


def remove(*, images: ImageQuerySet) -> Removed:
    """Takes the masks of a selection away. Their photos are trained on evenly again."""
    with transaction.atomic():
        masked = list(images.exclude(mask="").order_by().values_list("public_id", "mask", "mask_by"))
        ReferenceImage.objects.filter(public_id__in=[name for name, _, _ in masked]).update(mask="", mask_by="")
        transaction.on_commit(lambda: _remove(masked))
    drawn = [name for name, _, by in masked if by == "user"]
    token = signing.dumps(drawn, salt="masks", compress=True) if 0 < len(drawn) <= MOST_UNDONE else ""
    return Removed(len(masked), token)


def _remove(masked: Iterable[tuple[str, str, str]]) -> None:
    for name, key, by in masked:
        _set_aside(name, key, by)
        storage.remove(key)


def _former(public_id: str) -> Path:
    """Where a person's former mask waits; the sweep empties tmp of what is older than an hour."""
    return storage.absolute(f"tmp/mask-{public_id}/mask.png")


def _set_aside(public_id: str, key: str, by: str) -> None:
    """Keeps what a person drew; what the studio found can be found again."""
    if by == "user" and storage.absolute(key).is_file():
        with storage.replacing(_former(public_id)) as part:
            shutil.copyfile(storage.absolute(key), part)


def has_former(image: ReferenceImage) -> bool:
    return _former(image.public_id).is_file()


def back(*, image: ReferenceImage) -> ReferenceImage:
    """Makes the mask that a person drew before the present one the mask again. NotFound: none is kept any more."""
    former = _former(image.public_id)
    if not former.is_file():
        raise NotFound("no_former_mask", f"No earlier mask of {image.name} is kept. They are for an hour.")
    drawn = former.read_bytes()
    _set_aside(image.public_id, image.mask, image.mask_by)
    image.mask, present = storage.mask_key(image.character.public_id, image.public_id), image.mask_by
    with storage.replacing(storage.absolute(image.mask)) as part:
        part.write_bytes(drawn)
    if present != "user":
        storage.remove(f"tmp/mask-{image.public_id}")
    image.mask_by = "user"
    _said(image)
    return image


def undo(*, token: str) -> int:
    """Brings removed masks back, where nobody has made another one since; how many. Invalid: no such token, or old."""
    try:
        names = signing.loads(token, salt="masks", max_age=UNDO_SECONDS)
    except signing.BadSignature as error:
        raise Invalid("undo_too_late", "Those masks can no longer be brought back.") from error
    images = ReferenceImage.objects.select_related("character").filter(public_id__in=names, mask="")
    return len([back(image=image) for image in images if has_former(image)])


def file_of(image: ReferenceImage) -> str:
    """The storage key of the photo's mask. NotFound: it has none, or the file is gone."""
    if not image.mask or not storage.absolute(image.mask).is_file():
        raise NotFound("no_mask", f"{image.name} has no mask. Make one first.")
    return image.mask


def request(*, images: ImageQuerySet, shape: str = "person", replace: bool = False) -> list[Job]:
    """Jobs that mask a selection, one or more per character; masks that people drew stay unless `replace`.

    Invalid: an unknown shape. Conflict: every photo has a mask of a person's hand already."""
    if shape not in SHAPES:
        raise Invalid("unknown_shape", f"There is no mask called {shape!r}. Choose one of {', '.join(SHAPES)}.")
    wanted = images if replace else images.exclude(mask_by="user")
    per_character: dict[int, list[str]] = defaultdict(list)
    for owner, public_id in wanted.order_by("id").values_list("character_id", "public_id"):
        per_character[owner].append(public_id)
    if not per_character:
        raise Conflict("masks_kept", "These photos have masks that you drew. Tick “replace” to make them anew.")
    options = {"shape": shape, "replace": replace}
    return [
        _submit(owner, {**options, "images": ids[start : start + MOST_PER_JOB]})
        for owner, ids in per_character.items()
        for start in range(0, len(ids), MOST_PER_JOB)
    ]


def _submit(character: int, options: dict[str, object], retry_of: Job | None = None) -> Job:
    ids = options["images"]
    count = len(ids) if isinstance(ids, list) else 0
    with transaction.atomic():
        label = f"{count} mask{'' if count == 1 else 's'}"
        job = jobs.submit(kind=KIND, label=label, correlation_id=correlation.current(), retry_of=retry_of)
        DatasetTask.objects.create(job=job, character_id=character, kind=KIND, options=options)
    return job


def again(*, job: Job) -> Job:
    """The same masks asked for once more."""
    task = DatasetTask.objects.get(job=job)
    return _submit(task.character_id, task.options, job)


def take(*, public_id: str, replace: bool) -> bool:
    """Records the mask that the engine wrote for a photo; False: the photo is gone, or a person drew one meanwhile."""
    image = ReferenceImage.objects.select_related("character").filter(public_id=public_id).first()
    if image is None or (image.mask_by == "user" and not replace):
        return False
    made = storage.absolute(made_key(image))
    if not made.is_file():
        return False
    _set_aside(public_id, image.mask, image.mask_by)
    image.mask = storage.mask_key(image.character.public_id, public_id)
    made.replace(storage.absolute(image.mask))
    image.mask_by = "auto"
    _said(image)
    return True


def made_key(image: ReferenceImage) -> str:
    """Where the engine leaves a mask: beside the one in use, so that taking it is one rename."""
    return storage.mask_key(image.character.public_id, f"{image.public_id}-made")


def active(image: ReferenceImage) -> Job | None:
    """The job that is about to make a mask of this photo, newest first."""
    tasks = DatasetTask.objects.filter(
        kind=KIND, character=image.character_id, options__images__contains=image.public_id
    )
    return Job.objects.active().filter(dataset_task__in=tasks).order_by("-id").first()


def tally(outcomes: Iterable[dict[str, object]]) -> dict[str, object]:
    """What became of a job's photos: masks made, guesses among them, and those that got none with the reasons."""
    told = list(outcomes)
    made = [one for one in told if one.get("taken")]
    left = [{"image": one.get("image"), "reason": one.get("reason", "")} for one in told if not one.get("taken")]
    guessed = sum(bool(one.get("guessed")) for one in made)
    message = f"{len(made)} mask{'' if len(made) == 1 else 's'} made."
    return {"masks": len(made), "guessed": guessed, "left": left, "message": message}


def last_problem(image: ReferenceImage) -> str:
    """Why the newest job made no mask of this photo; empty when it did, or none was asked for."""
    tasks = DatasetTask.objects.filter(
        kind=KIND, character=image.character_id, options__images__contains=image.public_id
    )
    task = tasks.select_related("job").order_by("-id").first()
    if task is None:
        return ""
    if task.job.state == Job.State.FAILED:
        return task.job.error_message
    event = task.job.events.filter(kind="output", payload__image=image.public_id).last()
    return str(event.payload.get("reason", "")) if event is not None else ""


def told(job: Job) -> list[dict[str, object]]:
    """What a job said of each photo that still is there, those that need a hand first."""
    said = {event.payload["image"]: event.payload for event in job.events.filter(kind="output")}
    images = ReferenceImage.objects.select_related("character").filter(public_id__in=said).order_by("id")
    rows = [{"image": image, **_short(said[image.public_id])} for image in images]
    return sorted(rows, key=lambda row: (not row["reason"], not row["guessed"]))


def _short(payload: dict[str, object]) -> dict[str, object]:
    guessed = bool(payload.get("guessed")) and bool(payload.get("taken"))
    return {"reason": payload.get("reason", ""), "guessed": guessed}
