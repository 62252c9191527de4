"""Which pictures a bulk action is meant for: named ones, or all that a filter finds. Both skins choose with it.

`image_ids` in forms and `output_ids` in the API (as `gen-0123456789ab-0`, at most 2,000), or `all=1` with the
parameters of `Filter` and `except_ids`."""

import re
from collections.abc import Mapping
from typing import Any

from characters.browse.selection import MOST_FOUND, listed
from generation.gallery import query
from generation.models import Output, OutputQuerySet
from isengard.errors import Invalid

NAME = re.compile(r"(gen-[0-9a-f]{12})-(\d{1,5})")


def chosen(data: Any) -> OutputQuerySet:
    """The pictures of a selection, in no order. Invalid: none named, too many, or a filter that nobody offers."""
    if not isinstance(data, Mapping):
        raise Invalid("nothing_chosen", "Name the pictures in an object: output_ids, or all with a filter.")
    if str(data.get("all") or "").lower() in {"1", "true", "on"}:
        return _found(data)
    ids = listed(data, "image_ids") or listed(data, "output_ids")
    if not ids:
        raise Invalid("nothing_chosen", "Choose at least one picture first.")
    named: OutputQuerySet = Output.objects.filter(pk__in=keys(ids))
    return named


def keys(ids: list[str]) -> list[int]:
    """The numbers of named pictures in the order of the names; unknown ones are left out."""
    wanted = [(told[1], int(told[2])) for each in ids if (told := NAME.fullmatch(each))]
    rows = Output.objects.filter(generation__job__public_id__in={job for job, _ in wanted})
    known = {(job, index): pk for pk, job, index in rows.values_list("pk", "generation__job__public_id", "index")}
    return [known[name] for name in dict.fromkeys(wanted) if name in known]


def _found(data: Mapping[str, Any]) -> OutputQuerySet:
    outputs = query.found(query.Filter.of(data)).exclude(pk__in=keys(listed(data, "except_ids")))
    if outputs.order_by()[MOST_FOUND : MOST_FOUND + 1].exists():
        raise Invalid("too_many", f"More than {MOST_FOUND:,} pictures at once are too many. Narrow the filter first.")
    return outputs
