"""The bin: pictures go in, come back within a minute, or are erased with their files. Owns its transactions."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from generation.models import Output
from isengard import binning
from isengard.binning import UNDO_SECONDS, Binned
from isengard.errors import Invalid

log = logging.getLogger(__name__)


def bin_outputs(outputs: QuerySet[Output]) -> Binned:
    """Puts pictures into the bin: gone for everybody, back with the token for a minute, then erased with files."""
    now = timezone.now()
    keys = sorted(outputs.order_by().values_list("pk", flat=True))
    count = Output.objects.filter(pk__in=keys).update(deleted_at=now)
    log.info("pictures binned", extra={"event": "pictures.binned", "context": {"count": count}})
    return Binned(count, binning.token(now) if count else "")


def restore_outputs(undo: str) -> int:
    """Takes one `bin_outputs` back, and a discarded training picture waits for its verdict again; how many, 0 where
    that was done before. Invalid: too late, or not a token of ours."""
    moment = binning.moment(undo)
    binned = Output.everything.filter(deleted_at=moment)
    with transaction.atomic():
        binned.filter(verdict=Output.Verdict.DISCARDED).update(verdict="")
        count = binned.update(deleted_at=None)
    # Within the minute nothing is erased but by hand, so what is not in the bin is back already.
    if not count and not timezone.now() - timedelta(seconds=UNDO_SECONDS) < moment <= timezone.now():
        raise Invalid("too_late", "It is too late to undo that: what was not brought back within a minute is gone.")
    return count


def purge() -> int:
    """Erases what has been in the bin for more than a minute, rows first, then files; how many pictures."""
    return binning.purge(_purge_batch)


def _purge_batch(before: datetime) -> int:
    late = Output.everything.binned().filter(deleted_at__lt=before)
    with transaction.atomic():
        return erase_outputs(list(late.order_by("pk").select_for_update(skip_locked=True)[: binning.BATCH]))


def erase_outputs(outputs: Iterable[Output]) -> int:
    """Deletes pictures for good, rows first and files once that is sure; how many."""
    rows = list(outputs)
    with transaction.atomic():
        Output.everything.filter(pk__in=[output.pk for output in rows]).delete()
        binning.remove_once_sure({key for output in rows for key in (output.file, output.thumb)})
    return len(rows)
