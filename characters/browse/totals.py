"""Counting photos: per split, verdict and character, and of a filter. Pages ask for it beside the grid, not before."""

from dataclasses import dataclass, field

from django.db.models import Count

from characters.browse import query
from characters.models import Character, ReferenceImage

# Beyond it a person reads "more than", and the database stops counting.
ENOUGH = 10_000


@dataclass
class Totals:
    """`splits` and `verdicts` name every value there is, also those without a photo; `characters` those with photos."""

    all: int = 0
    splits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ReferenceImage.Split.values, 0))
    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ReferenceImage.Verdict.values, 0))
    characters: dict[int, int] = field(default_factory=dict)


def totals(character: Character | None = None) -> Totals:
    """Of all photos, or of one character's; exact, in one query (0.3 s at a million, see docs/benchmarks.md)."""
    images = ReferenceImage.objects.filter(character=character) if character else ReferenceImage.objects.all()
    result = Totals()
    groups = images.order_by().values_list("character_id", "split", "verdict").annotate(count=Count("pk"))
    for owner, split, verdict, count in groups:
        result.all += count
        result.splits[split] += count
        result.verdicts[verdict] += count
        result.characters[owner] = result.characters.get(owner, 0) + count
    return result


def count(chosen: query.Filter) -> tuple[int, bool]:
    """How many photos the filter finds, counted up to 10,000, and whether there are more."""
    number = query.found(chosen).order_by()[: ENOUGH + 1].count()
    return min(number, ENOUGH), number > ENOUGH
