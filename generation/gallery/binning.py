"""The bin: pictures go in, come back within a minute, or are erased with their files. Owns its transactions."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from generation.models import Output
from isengard import storage
from isengard.errors import Invalid

log = logging.getLogger(__name__)

UNDO_SECONDS = 60
# Bounds what one transaction of the purge holds.
BATCH = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Binned:
    """How many pictures went into the bin, and the token that `restore_outputs` takes ("" when none did)."""

    count: int
    undo: str


def bin_outputs(outputs: QuerySet[Output]) -> Binned:
    """Puts pictures into the bin: gone for everybody, back with the token for a minute, then erased with files."""
    now = timezone.now()
    keys = sorted(outputs.order_by().values_list("pk", flat=True))
    count = Output.objects.filter(pk__in=keys).update(deleted_at=now)
    log.info("pictures binned", extra={"event": "pictures.binned", "context": {"count": count}})
    return Binned(count, token(now) if count else "")


def token(moment: datetime) -> str:
    """The moment itself, in microseconds: every row of one call carries it, and hardly any other call's."""
    return str((moment - EPOCH) // timedelta(microseconds=1))


def restore_outputs(undo: str) -> int:
    """Takes one `bin_outputs` back, and a discarded training picture waits for its verdict again; how many, 0 where
    that was done before. Invalid: too late, or not a token of ours."""
    moment = _moment(undo)
    binned = Output.everything.filter(deleted_at=moment)
    with transaction.atomic():
        binned.filter(verdict=Output.Verdict.DISCARDED).update(verdict="")
        count = binned.update(deleted_at=None)
    # Within the minute nothing is erased but by hand, so what is not in the bin is back already.
    if not count and not timezone.now() - timedelta(seconds=UNDO_SECONDS) < moment <= timezone.now():
        raise Invalid("too_late", "It is too late to undo that: what was not brought back within a minute is gone.")
    return count


def _moment(undo: str) -> datetime:
    if not (undo.isascii() and undo.isdigit() and len(undo) < 18):
        raise Invalid("too_late", "It is too late to undo that.")
    return EPOCH + timedelta(microseconds=int(undo))


def purge() -> int:
    """Erases what has been in the bin for more than a minute, rows first, then files; how many pictures."""
    count = 0
    while gone := _purge_batch(timezone.now() - timedelta(seconds=UNDO_SECONDS)):
        count += gone
    return count


def _purge_batch(before: datetime) -> int:
    late = Output.everything.binned().filter(deleted_at__lt=before)
    with transaction.atomic():
        return erase_outputs(list(late.order_by("pk").select_for_update(skip_locked=True)[:BATCH]))


def erase_outputs(outputs: Iterable[Output]) -> int:
    """Deletes pictures for good, rows first and files once that is sure; how many."""
    rows = list(outputs)
    keys = {key for output in rows for key in (output.file, output.thumb)}
    with transaction.atomic():
        Output.everything.filter(pk__in=[output.pk for output in rows]).delete()
        transaction.on_commit(lambda: _remove(keys))
    return len(rows)


def _remove(keys: set[str]) -> None:
    for key in keys:
        storage.remove(key)
