"""What pictures take on the disk, and the one rule by which old ones go. Everything passes through the bin, so that a
minute is left to undo. Knows no request."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Exists, OuterRef, QuerySet, Sum
from django.utils import timezone

from generation.gallery import binning
from generation.models import Board, CleanupRule, Generation, Output
from isengard import storage
from isengard.binning import Binned
from isengard.errors import Invalid
from isengard.jobs.models import Job

DAYS = range(1, 3651)
# Of one sweep; what is left goes with the next one, a minute later.
MOST_AT_ONCE = 1000


@dataclass(frozen=True)
class Share:
    """What a part of the pictures takes: `key` is a character's public id, "" for nobody's."""

    key: str
    label: str
    count: int
    bytes: int


@dataclass(frozen=True)
class Use:
    """`free` bytes of the disk; `parts` by character, largest first."""

    count: int
    bytes: int
    free: int
    favourites: int
    parts: list[Share]


def use() -> Use:
    """Of the pictures' own files as written; thumbnails (about a twentieth) are not counted."""
    rows = (
        Output.objects.order_by()
        .values("generation__character__public_id", "generation__character__name")
        .annotate(count=Count("pk"), bytes=Sum("size_bytes"))
    )
    parts = [
        Share(
            row["generation__character__public_id"] or "",
            row["generation__character__name"] or "",
            row["count"],
            row["bytes"],
        )
        for row in rows
    ]
    parts.sort(key=lambda part: part.bytes, reverse=True)
    return Use(
        count=sum(part.count for part in parts),
        bytes=sum(part.bytes for part in parts),
        free=storage.free_bytes(),
        favourites=Output.objects.filter(favourite=True).count(),
        parts=parts,
    )


def rule() -> CleanupRule:
    return CleanupRule.objects.filter(pk=1).first() or CleanupRule(pk=1)


def set_rule(*, after_days: int | None, keep_rating: int) -> CleanupRule:
    """Invalid: not 1 to 3,650 days, or no rating from 1 to 5."""
    if after_days is not None and after_days not in DAYS:
        raise Invalid("bad_days", f"Pictures can go after 1 to {DAYS[-1]:,} days, or never.")
    if not 1 <= keep_rating <= 5:
        raise Invalid("bad_rating", "Pictures that stay are rated 1 to 5 stars or better.")
    given = {"after_days": after_days, "keep_rating": keep_rating}
    return CleanupRule.objects.update_or_create(pk=1, defaults=given)[0]


def due(chosen: CleanupRule) -> QuerySet[Output]:
    """What the rule lets go of: old pictures that nobody marked. Favourites, pictures on a board, those kept as
    photos, those that a waiting or running request begins from and those of such a request always stay."""
    if chosen.after_days is None:
        return Output.objects.none()
    on_board = Board.outputs.through.objects.filter(output_id=OuterRef("pk"))
    active = Job.objects.active().values("pk")
    begun = Generation.objects.filter(source_id=OuterRef("pk"), job__in=active)
    old = Output.objects.filter(created_at__lt=timezone.now() - timedelta(days=chosen.after_days))
    unmarked = old.filter(favourite=False, rating__lt=chosen.keep_rating).exclude(verdict=Output.Verdict.KEPT)
    return unmarked.exclude(generation__job__in=active).exclude(Exists(on_board)).exclude(Exists(begun))


def clean() -> Binned:
    """Puts what the rule lets go of into the bin now, the oldest first."""
    found = due(rule()).order_by("pk").values_list("pk", flat=True)[:MOST_AT_ONCE]
    return binning.bin_outputs(Output.objects.filter(pk__in=list(found)))
