"""Keyset paging: comparing rows with a key that stands in a cursor. Knows no model."""

from typing import Any

from django.db.models import BooleanField, Func, Value


def beyond(columns: list[Any], key: list[Any], *, falling: bool, inclusive: bool = False) -> Func:
    """Rows whose columns are smaller than the key (`falling`) or greater; `inclusive`: or equal.

    Compared as one row: an index walks straight there, even where thousands of rows share the first value."""
    joiner = f" {'<' if falling else '>'}{'=' if inclusive else ''} "
    ours = Func(*columns, function="ROW", output_field=BooleanField())
    theirs = Func(*(Value(value) for value in key), function="ROW", output_field=BooleanField())
    return Func(ours, theirs, template="%(expressions)s", arg_joiner=joiner, output_field=BooleanField())
