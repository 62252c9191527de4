"""Which rows a bulk action is meant for: named ones, or all that a filter finds. Both skins choose photos and pictures
with it. Knows no app.

The public ids in `image_ids` (at most 2,000), or `all=1` with the parameters of the filter and `except_ids`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.http import QueryDict

from isengard.errors import Invalid
from isengard.grids import flag

MOST_NAMED = 2000
# Beyond it a single request would hold its rows and its answer for many seconds.
MOST_FOUND = 100_000
Rows = TypeVar("Rows", bound=QuerySet[Any, Any])


def chosen(
    data: Any,
    noun: str,
    fields: tuple[str, ...],
    named: Callable[[list[str]], Rows],
    found: Callable[[Mapping[str, Any], list[str]], Rows],
) -> Rows:
    """The rows of a selection, in no order. `fields`: where ids may stand, the API's last; `named`: the rows of ids;
    `found`: what the filter in the data finds but these ids. Invalid: none named, too many, or a filter that nobody
    offers."""
    if not isinstance(data, Mapping):
        raise Invalid("nothing_chosen", f"Name the {noun}s in an object: {fields[-1]}, or all with a filter.")
    if flag(data, "all"):
        rows = found(data, listed(data, "except_ids"))
        if rows.order_by()[MOST_FOUND : MOST_FOUND + 1].exists():
            raise Invalid(
                "too_many", f"More than {MOST_FOUND:,} {noun}s at once are too many. Narrow the filter first."
            )
        return rows
    ids = next(filter(None, (listed(data, field) for field in fields)), [])
    if not ids:
        raise Invalid("nothing_chosen", f"Choose at least one {noun} first.")
    return named(ids)


def listed(data: Mapping[str, Any], name: str) -> list[str]:
    """A repeated form field, a JSON list, or one field with commas."""
    given = data.getlist(name) if isinstance(data, QueryDict) else data.get(name) or []
    values = given if isinstance(given, list) else [given]
    ids = [part for value in values for part in str(value).replace(",", " ").split()]
    if len(ids) > MOST_NAMED:
        raise Invalid("too_many", f"At most {MOST_NAMED:,} can be named at once. Choose all of a filter instead.")
    return ids
