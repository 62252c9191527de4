"""Bins: what is deleted comes back within a minute, or is erased. Photos and pictures have one each. Knows no app.

The token of an undo is the moment of the deletion in microseconds: every row of one call carries it, and hardly any
other call's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from isengard import storage
from isengard.errors import Invalid

UNDO_SECONDS = 60
# Bounds what one transaction of a purge holds.
BATCH = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Binned:
    """How many went into the bin, and the token that brings them back ("" when none did)."""

    count: int
    undo: str


def token(moment: datetime) -> str:
    return str((moment - EPOCH) // timedelta(microseconds=1))


def moment(undo: str) -> datetime:
    """When that deletion was. Invalid: not a token of ours."""
    if not (undo.isascii() and undo.isdigit() and len(undo) < 18):
        raise Invalid("too_late", "It is too late to undo that.")
    return EPOCH + timedelta(microseconds=int(undo))


def purge(erase: Callable[[datetime], int]) -> int:
    """Has erased, a batch at a time, what went into the bin before the moment that `erase` is given; how many."""
    count = 0
    while gone := erase(timezone.now() - timedelta(seconds=UNDO_SECONDS)):
        count += gone
    return count


def remove_once_sure(keys: Iterable[str]) -> None:
    """Deletes the files behind the keys when the rows are gone for good."""
    told = list(keys)
    transaction.on_commit(lambda: storage.remove(*told))
