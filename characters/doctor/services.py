"""When the doctor looks at which photos: asked for, after uploads, after changes. What it finds is written elsewhere.

Owns its transactions; knows no request and no pixels."""

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
# So that thumbnails and the photos of others get their turn on a machine with one worker for all of them.
MOST_PER_JOB = 200
# The version of an examination that somebody asked to have done again.
OUTDATED = 0
# A ring at the end of a job that was lost is found by the sweep for that long.
REMEMBERED = timedelta(hours=1)
# OpenCV Zoo names it by its date; the quantised ones beside it are no faster on a processor.
YUNET, YUNET_FILES = "face_detection_yunet_2023mar.onnx", "face_detection_yunet_????[a-z][a-z][a-z].onnx"


def request(*, images: ImageQuerySet) -> list[Job]:
    """Has these photos looked at (again): a job per character, or the one under way. Invalid: none chosen."""
    owners = sorted(set(images.order_by().values_list("character_id", flat=True)))
    if not owners:
        raise Invalid("nothing_chosen", "Choose at least one photo first.")
    with transaction.atomic():
        Examination.objects.filter(image__in=images.order_by().values("pk")).update(version=OUTDATED)
        return [_active(owner).first() or _submit(owner) for owner in owners]


def check_again(*, character: Character) -> Job:
    """Looks at every photo of the character again, unless that is under way. Invalid: there is none."""
    if not character.images.exists():
        raise Invalid("no_photos", "There is no photo to check yet. Add some first.")
    return running(character) or request(images=ReferenceImage.objects.filter(character=character))[0]


def again(*, job: Job) -> Job:
    """A new job for what that one did not reach."""
    task = DatasetTask.objects.get(job=job)
    with transaction.atomic():
        return _submit(task.character_id, retry_of=job)


def _submit(character: int, retry_of: Job | None = None) -> Job:
    job = jobs.submit(kind=KIND, label="Photo check", correlation_id=correlation.current(), retry_of=retry_of)
    DatasetTask.objects.create(job=job, character_id=character, kind=KIND)
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
        return None if _still_coming(times) else _submit(character)


def _still_coming(times: dict[str, Any]) -> bool:
    """The last photo's own bell has yet to ring, and the first has not waited long."""
    now, slack = timezone.now(), 0.5
    recent = now - times["last"] < timedelta(seconds=bell.QUIET_SECONDS - slack)
    return bool(recent and now - times["first"] < timedelta(seconds=bell.PATIENCE_SECONDS))


def left_alone() -> list[int]:
    """Characters with photos that no bell brought to the doctor: new ones, those whose file has gone, and the rest of
    what somebody asked to have looked at again."""
    late = timezone.now() - timedelta(seconds=bell.PATIENCE_SECONDS)
    gone = Q(missing_at__lt=late) & ~Q(verdict="blocked")
    waiting = ReferenceImage.objects.filter(Q(verdict="unchecked", created_at__lt=late) | gone)
    found = set(waiting.order_by("character_id").values_list("character_id", flat=True).distinct()[:100])
    ended = DatasetTask.objects.filter(kind=KIND, job__finished_at__range=(timezone.now() - REMEMBERED, late))
    lately = ended.order_by().values_list("character_id", flat=True).distinct()[:100]
    return sorted(found.union(pk for pk in lately if unchecked(pk).exists()))


def to_examine(job: Job) -> ImageQuerySet:
    """The photos that are next: at most MOST_PER_JOB. The rest is for the job after it."""
    found: ImageQuerySet = unchecked(DatasetTask.objects.get(job=job).character_id).order_by("id")[:MOST_PER_JOB]
    return found


def progress(character: int) -> tuple[int, int]:
    """How many of the character's photos were looked at, and how many are left."""
    left = unchecked(character).count()
    return ReferenceImage.objects.filter(character=character).count() - left, left


def yunet() -> str:
    """The newest file of the stronger detector in the models folder; "" where there is none."""
    return max((str(path) for path in settings.MODELS_DIR.glob(YUNET_FILES)), default="")


def yunet_place() -> str:
    """Where to put that file, for the machine's owner to read."""
    return str(settings.MODELS_DIR / YUNET)
