"""The bin: photos go in, come back within a minute, or are erased with their files. Owns its transactions."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from characters import photos, thumbnails
from characters.browse.holding import hold_characters, keys_of
from characters.doctor import bell
from characters.models import ReferenceImage
from isengard import binning
from isengard.binning import Binned
from isengard.errors import Invalid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    """How many are back, and how many are not because the same picture was uploaded again meanwhile."""

    count: int
    here_again: int


def bin_images(images: QuerySet[ReferenceImage]) -> Binned:
    """Puts photos into the bin: gone for everybody, back with the token for a minute, then erased with their files."""
    now = timezone.now()
    count = ReferenceImage.objects.filter(pk__in=keys_of(images)).update(deleted_at=now)
    if count:
        _tell_doctor(ReferenceImage.everything.filter(deleted_at=now))
    log.info("photos binned", extra={"event": "images.binned", "context": {"count": count}})
    return Binned(count, binning.token(now) if count else "")


def restore_images(undo: str) -> Restored:
    """Takes one `bin_images` back. Invalid: too late, or not a token of ours."""
    binned = ReferenceImage.everything.binned().filter(deleted_at=binning.moment(undo))
    with transaction.atomic():
        hold_characters(list(binned.order_by().values_list("character_id", flat=True).distinct()))
        here = ReferenceImage.objects.filter(character=OuterRef("character"))
        again, named = Exists(here.filter(sha256=OuterRef("sha256"))), Exists(here.filter(name=OuterRef("name")))
        rows: list[Any] = list(binned.annotate(again=again, named=named).order_by("pk").select_for_update(of=("self",)))
        back = [image for image in rows if not image.again]
        plain = [image.pk for image in back if not image.named]
        ReferenceImage.everything.filter(pk__in=plain).update(deleted_at=None)
        # Last: the names they are given must be free among those that have just come back, too.
        for image in (image for image in back if image.named):
            _restore_renamed(image)
    if not rows:
        raise Invalid("too_late", "It is too late to undo that: the photos are gone.")
    _tell_doctor(ReferenceImage.objects.filter(pk__in=[image.pk for image in back]))
    return Restored(len(back), len(rows) - len(back))


def _tell_doctor(images: QuerySet[ReferenceImage]) -> None:
    """What is a copy of what, and what the set lacks, has changed for their characters."""
    owners = list(images.order_by().values_list("character_id", flat=True).distinct())
    transaction.on_commit(lambda: bell.ring(owners))


def _restore_renamed(image: ReferenceImage) -> None:
    taken = set(ReferenceImage.objects.filter(character=image.character_id).values_list("name", flat=True))
    image.name, image.deleted_at = photos.free_name(image.name, taken), None
    image.save(update_fields=["name", "deleted_at"])


def purge() -> int:
    """Erases what has been in the bin for more than a minute, rows first, then files; how many photos."""
    return binning.purge(_purge_batch)


def _purge_batch(before: datetime) -> int:
    late = ReferenceImage.everything.binned().filter(deleted_at__lt=before)
    with transaction.atomic():
        rows = list(late.select_related("character").select_for_update(of=("self",), skip_locked=True)[: binning.BATCH])
        ReferenceImage.everything.filter(pk__in=[image.pk for image in rows]).delete()
        binning.remove_once_sure(key for image in rows for key in thumbnails.keys(image))
    return len(rows)
