"""What pages and API say of a character's photos as a set. Reads only."""

from dataclasses import dataclass

from django.db.models import Count

from characters.browse.totals import totals
from characters.doctor import coach, copies, services
from characters.models import Character, DatasetTask, ReferenceImage
from isengard.jobs.models import Job

# Beyond it the coach has one advice, and comparing more photos only takes time.
MOST_COMPARED = 500
TRAINED_ON = (ReferenceImage.Split.TRAIN, ReferenceImage.Split.SYNTHETIC)


@dataclass(frozen=True)
class Report:
    """The set's state and advice, photos per verdict, groups of copies, the running check or the one that failed."""

    advice: coach.Advice
    verdicts: dict[str, int]
    copies: list[tuple[ReferenceImage, list[ReferenceImage]]]
    job: Job | None
    failed: Job | None

    @property
    def seen(self) -> str:
        """Names what the tiles show of it: a page that has another one must fetch them again."""
        return "-".join(str(count) for count in self.verdicts.values())


def report(character: Character) -> Report:
    job = services.running(character)
    return Report(
        advice=coach.advise(_photos(character), _trained_on(character)),
        verdicts=totals(character).verdicts,
        copies=copies.copies_of(character=character),
        job=job,
        failed=None if job else _failed(character),
    )


def _failed(character: Character) -> Job | None:
    """The newest check, if it failed."""
    newest = DatasetTask.objects.filter(character=character, kind=services.KIND).select_related("job").order_by("-id")
    task = newest.first()
    return task.job if task is not None and task.job.state == Job.State.FAILED else None


def _trained_on(character: Character) -> dict[str, int]:
    """Photos per verdict, of those that are trained on."""
    images = ReferenceImage.objects.filter(character=character, split__in=TRAINED_ON).order_by()
    return dict(images.values_list("verdict").annotate(count=Count("pk")))


def _photos(character: Character) -> list[coach.Shown]:
    """The newest of those that are trained on."""
    images = ReferenceImage.objects.filter(character=character, split__in=TRAINED_ON).order_by("-id")
    fields = ("phash", "brightness", "contrast")
    rows = images.values_list(
        "pk", "verdict", "examination__framing", "color", *(f"examination__{name}" for name in fields)
    )
    return [coach.Shown(pk, verdict, framing or "none", *rest) for pk, verdict, framing, *rest in rows[:MOST_COMPARED]]
