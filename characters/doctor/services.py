"""When the doctor looks at which photos: asked for, after uploads, after changes. What it finds is written elsewhere.

Owns its transactions; knows no request and no pixels."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Min, Q
from django.utils import timezone

from characters.doctor import bell, copies
from characters.doctor.thresholds import VERSION
from characters.models import Character, DatasetTask, Examination, ImageQuerySet, ReferenceImage
from isengard.errors import Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from isengard.logs import correlation

KIND = "examine"
# OpenCV's own file names; the older works, too.
YUNET = ("face_detection_yunet_2026may.onnx", "face_detection_yunet_2023mar.onnx")


def request(*, images: ImageQuerySet) -> list[Job]:
    """A job per character that looks at these photos (again). Invalid: none chosen."""
    per_character: dict[int, list[str]] = defaultdict(list)
    for owner, public_id in images.order_by("id").values_list("character_id", "public_id"):
        per_character[owner].append(public_id)
    if not per_character:
        raise Invalid("nothing_chosen", "Choose at least one photo first.")
    with transaction.atomic():
        return [_submit(owner, {"images": ids}) for owner, ids in per_character.items()]


def check_again(*, character: Character) -> Job:
    """Looks at every photo of the character again. Invalid: there is none."""
    if not character.images.exists():
        raise Invalid("no_photos", "There is no photo to check yet. Add some first.")
    with transaction.atomic():
        return running(character) or _submit(character.pk, {"all": True})


def again(*, job: Job) -> Job:
    """A new job that asks for the same."""
    task = DatasetTask.objects.get(job=job)
    with transaction.atomic():
        return _submit(task.character_id, task.options, retry_of=job)


def _submit(character: int, options: dict[str, Any], retry_of: Job | None = None) -> Job:
    job = jobs.submit(kind=KIND, label="Photo check", correlation_id=correlation.current(), retry_of=retry_of)
    DatasetTask.objects.create(job=job, character_id=character, kind=KIND, options=options)
    return job


def running(character: Character) -> Job | None:
    """The character's check that waits or runs."""
    job: Job | None = _active(character.pk).first()
    return job


def _active(character: int) -> Any:
    return Job.objects.active().filter(dataset_task__character=character, kind=KIND).order_by("id")


def unchecked(character: int) -> ImageQuerySet:
    """Photos that nobody looked at, or by older thresholds, or whose file has gone or come back since."""
    images = ReferenceImage.objects.filter(character=character)
    outdated = ~Q(examination__version=VERSION) | Q(examination__isnull=True)
    gone, known = Q(missing_at__isnull=False), Q(examination__findings__contains=[{"code": "missing"}])
    found: ImageQuerySet = images.filter(outdated | (gone & ~known) | (~gone & known))
    return found


def attend(*, character: int) -> Job | None:
    """What a bell asks for: a check of what is new once uploads are through; without any, the duplicates anew.

    A check that is under way rings again when it ends."""
    with transaction.atomic():
        # Two bells take turns, so that the second sees the first one's job.
        if not Character.objects.select_for_update().filter(pk=character).exists() or _active(character).exists():
            return None
        times = unchecked(character).order_by().aggregate(first=Min("created_at"), last=Max("created_at"))
        if times["last"] is None:
            copies.settle(character=character)
            return None
        return None if _still_coming(times) else _submit(character, {})


def _still_coming(times: dict[str, Any]) -> bool:
    """The last photo's own bell has yet to ring, and the first has not waited long."""
    now, slack = timezone.now(), 0.5
    recent = now - times["last"] < timedelta(seconds=bell.QUIET_SECONDS - slack)
    return bool(recent and now - times["first"] < timedelta(seconds=bell.PATIENCE_SECONDS))


def left_alone() -> list[int]:
    """Characters with photos that no bell brought to the doctor, new ones and those whose file has gone."""
    late = timezone.now() - timedelta(seconds=bell.PATIENCE_SECONDS)
    gone = Q(missing_at__lt=late) & ~Q(verdict="blocked")
    waiting = ReferenceImage.objects.filter(Q(verdict="unchecked", created_at__lt=late) | gone)
    return list(waiting.order_by("character_id").values_list("character_id", flat=True).distinct()[:100])


def to_examine(job: Job) -> ImageQuerySet:
    """The photos of a job that were not looked at since it was asked for: what an earlier attempt did not reach."""
    task = DatasetTask.objects.get(job=job)
    images = ReferenceImage.objects.filter(character=task.character_id)
    if "images" in task.options:
        images = images.filter(public_id__in=task.options["images"])
    elif not task.options.get("all"):
        images = unchecked(task.character_id)
    done = Examination.objects.filter(checked_at__gte=job.created_at, version=VERSION).values("image")
    found: ImageQuerySet = images.exclude(pk__in=done).order_by("id")
    return found


def yunet() -> str:
    """The file of the stronger detector below the models folder; "" where there is none."""
    found = [path for name in YUNET if (path := settings.MODELS_DIR / name).is_file()]
    return str(found[0]) if found else ""


def yunet_place() -> str:
    """Where to put that file, for the machine's owner to read."""
    return str(settings.MODELS_DIR / YUNET[0])
