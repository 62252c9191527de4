"""Which pictures a bulk action is meant for (isengard/selections.py): `image_ids` in forms, `output_ids` in the API, as
`gen-0123456789ab-0`, or all that `Filter` finds."""

import re
from collections.abc import Mapping
from typing import Any

from generation.gallery import query
from generation.models import Output, OutputQuerySet
from isengard import selections

NAME = re.compile(r"(gen-[0-9a-f]{12})-(\d{1,5})")


def chosen(data: Any) -> OutputQuerySet:
    """The pictures of a selection, in no order. Invalid: none named, too many, or a filter that nobody offers."""
    return selections.chosen(data, "picture", ("image_ids", "output_ids"), _named, _found)


def keys(ids: list[str]) -> list[int]:
    """The numbers of named pictures in the order of the names; unknown ones are left out."""
    wanted = [(told[1], int(told[2])) for each in ids if (told := NAME.fullmatch(each))]
    rows = Output.objects.filter(generation__job__public_id__in={job for job, _ in wanted})
    known = {(job, index): pk for pk, job, index in rows.values_list("pk", "generation__job__public_id", "index")}
    return [known[name] for name in dict.fromkeys(wanted) if name in known]


def _named(ids: list[str]) -> OutputQuerySet:
    return Output.objects.filter(pk__in=keys(ids))


def _found(data: Mapping[str, Any], but: list[str]) -> OutputQuerySet:
    return query.found(query.Filter.of(data)).exclude(pk__in=keys(but))
