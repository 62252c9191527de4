"""Which photos a bulk action is meant for (isengard/selections.py): `image_ids`, or all that `Filter` finds."""

from collections.abc import Mapping
from typing import Any

from characters.browse import query
from characters.models import ImageQuerySet, ReferenceImage
from isengard import selections


def chosen(data: Any) -> ImageQuerySet:
    """The photos of a selection, in no order. Invalid: none named, too many, or a filter that nobody offers."""
    return selections.chosen(data, "photo", ("image_ids",), _named, _found)


def _named(ids: list[str]) -> ImageQuerySet:
    return ReferenceImage.objects.filter(public_id__in=ids)


def _found(data: Mapping[str, Any], but: list[str]) -> ImageQuerySet:
    return query.found(query.Filter.of(data)).exclude(public_id__in=but)
