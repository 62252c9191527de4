"""Photos whose file is gone: found by a patrol that walks through all of them, so that a filter can show them.

Nothing is deleted for it: a disk that is not there today may be back tomorrow, and then the mark is taken off."""

import logging

from django.core.cache import cache
from django.utils import timezone

from characters.models import ReferenceImage

log = logging.getLogger(__name__)

# A look at this many costs some 20 ms on a local disk; once a minute, 100,000 photos are walked through in 50 minutes.
BATCH = 2000
PLACE = "photos-patrol"


def note(images: list[ReferenceImage]) -> int:
    """Marks those whose file is gone and unmarks those that are back; how many marks changed."""
    gone = [image.pk for image in images if image.missing_at is None and image.missing]
    back = [image.pk for image in images if image.missing_at is not None and not image.missing]
    if gone:
        log.warning("%d photos have no file", len(gone), extra={"event": "images.missing"})
        ReferenceImage.objects.filter(pk__in=gone).update(missing_at=timezone.now())
    if back:
        ReferenceImage.objects.filter(pk__in=back).update(missing_at=None)
    return len(gone) + len(back)


def patrol() -> int:
    """Looks after the next photos in turn; after the last it begins again. How many marks changed."""
    last = cache.get(PLACE, 0)
    images = list(ReferenceImage.objects.filter(pk__gt=last).order_by("pk").only("file", "missing_at")[:BATCH])
    cache.set(PLACE, images[-1].pk if len(images) == BATCH else 0, timeout=None)
    return note(images)
