"""Small copies of stored photos, made on the `cpu` queue; a photo is shown in full until its copies are there."""

import logging

from kombu.exceptions import OperationalError
from PIL import Image

from characters.models import ReferenceImage
from isengard import storage
from isengard.celery import app

log = logging.getLogger(__name__)

# Longest side in pixels, largest first: the smaller is made from the larger.
SIZES = (512, 256)
QUALITY = 82
# A JPEG is decoded at the nearest scale that leaves this much more than needed: half the work of twice as much, and no
# visible difference. WebP's fastest method gives the same bytes and quality at this size in a third of the time.
SPARE, METHOD = 1.5, 0
EXPIRES_SECONDS = 600


def ring(image_id: int) -> None:
    """Asks a cpu worker for the copies. A lost ring is found by the sweep."""
    try:
        app.send_task("characters.thumbnail", args=[image_id], queue="cpu", expires=EXPIRES_SECONDS, retry=False)
    except OperationalError as error:
        log.warning("thumbnail left to the sweep: %s", error, extra={"event": "thumbnail.unheard"})


def make(image: ReferenceImage) -> None:
    """Writes the copies of one photo and marks it ready; twice does no harm. A photo without its file is left alone."""
    source = storage.absolute(image.file)
    try:
        with Image.open(source, formats=("JPEG", "PNG")) as picture:
            scale = SPARE * SIZES[0] / max(picture.size)
            picture.draft("RGB", (int(picture.width * scale), int(picture.height * scale)))
            small = picture.convert("RGB")
    except FileNotFoundError:
        log.warning("photo %s has no file", image.public_id, extra={"event": "thumbnail.no_file"})
        return
    for size in SIZES:
        small.thumbnail((size, size), Image.Resampling.LANCZOS)
        with storage.replacing(storage.absolute(key(image, size))) as part:
            small.save(part, "WEBP", quality=QUALITY, method=METHOD)
    ReferenceImage.objects.filter(pk=image.pk).update(thumb_ready=True)
    log.info("thumbnails made", extra={"event": "thumbnail.made", "context": {"image": image.public_id}})


def key(image: ReferenceImage, size: int) -> str:
    return storage.thumb_key(image.character.public_id, image.public_id, size)


def keys(image: ReferenceImage) -> list[str]:
    """Every file of a photo: itself, its copies and its mask."""
    return [image.file, *(key(image, size) for size in SIZES), *filter(None, [image.mask])]
