"""Which photos a bulk action is meant for: named ones, or all that a filter finds. Both skins choose with it.

`image_ids` (public ids, at most 2,000), or `all=1` with the parameters of `Filter` and `except_ids`."""

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from characters.browse import query
from characters.models import ImageQuerySet, ReferenceImage
from isengard.errors import Invalid

MOST_NAMED = 2000
# Beyond it a single request would hold its rows and its answer for many seconds.
MOST_FOUND = 100_000


def chosen(data: Any) -> ImageQuerySet:
    """The photos of a selection, in no order. Invalid: none named, too many, or a filter that nobody offers."""
    if not isinstance(data, Mapping):
        raise Invalid("nothing_chosen", "Name the photos in an object: image_ids, or all with a filter.")
    if str(data.get("all") or "").lower() in {"1", "true", "on"}:
        return _found(data)
    ids = listed(data, "image_ids")
    if not ids:
        raise Invalid("nothing_chosen", "Choose at least one photo first.")
    named: ImageQuerySet = ReferenceImage.objects.filter(public_id__in=ids)
    return named


def _found(data: Mapping[str, Any]) -> ImageQuerySet:
    images = query.found(query.Filter.of(data)).exclude(public_id__in=listed(data, "except_ids"))
    if images.order_by()[MOST_FOUND : MOST_FOUND + 1].exists():
        raise Invalid("too_many", f"More than {MOST_FOUND:,} photos at once are too many. Narrow the filter first.")
    return images


def listed(data: Mapping[str, Any], name: str) -> list[str]:
    """A repeated form field, a JSON list, or one field with commas."""
    given = data.getlist(name) if isinstance(data, QueryDict) else data.get(name) or []
    values = given if isinstance(given, list) else [given]
    ids = [part for value in values for part in str(value).replace(",", " ").split()]
    if len(ids) > MOST_NAMED:
        raise Invalid(
            "too_many", f"At most {MOST_NAMED:,} photos can be named at once. Choose all of a filter instead."
        )
    return ids
