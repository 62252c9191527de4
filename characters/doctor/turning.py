"""Turning a photo that lies on its side: the turned picture takes its place, the one before goes into the bin."""

import hashlib

from django.db import transaction
from PIL import Image

from characters import photos, services
from characters.browse.binning import bin_images
from characters.browse.tags import set_tags
from characters.models import ReferenceImage
from isengard import storage
from isengard.binning import Binned
from isengard.errors import Invalid, NotFound

# Quarter turns clockwise, as pixels are moved: no resampling.
TURNS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}
# As photos are stored at upload.
QUALITY = 95
FORMATS = {"image/jpeg": ("JPEG", "jpg"), "image/png": ("PNG", "png")}


def turn(*, image: ReferenceImage, turns: int) -> tuple[ReferenceImage, Binned]:
    """The photo turned clockwise by quarters, with its caption, tags and split, and how to undo it. Its crops and mask
    fitted the other way round and are not taken along. Invalid: not 1 to 3 turns. NotFound: its file is gone."""
    if turns not in TURNS:
        raise Invalid("bad_turn", "A photo is turned by one, two or three quarters.")
    source = storage.absolute(image.file)
    if not source.is_file():
        raise NotFound("missing", "Its file is gone from the disk, so it cannot be turned. Upload the photo again.")
    photos.require_space()
    with source.open("rb") as file, photos.received(file) as (path, _):
        clean = path.with_name("turned")
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            turned = picture.transpose(TURNS[turns])
        kind, extension = FORMATS[image.content_type]
        # As decoding.py stores photos, so that an export and an import of it lose nothing.
        turned.save(clean, kind, quality=QUALITY, subsampling=0)
        digest = hashlib.sha256(clean.read_bytes()).hexdigest()
        decoded = photos.Decoded(clean, extension, image.content_type, turned.width, turned.height, image.color)
        return _instead(image, decoded, digest)


def _instead(image: ReferenceImage, clean: photos.Decoded, digest: str) -> tuple[ReferenceImage, Binned]:
    with transaction.atomic():
        binned = bin_images(ReferenceImage.objects.filter(pk=image.pk))
        kept = services.keep_image(
            character=image.character,
            clean=clean,
            sha256=digest,
            name=image.name,
            original_name=image.original_name,
            caption=image.caption,
            split=image.split,
            made_by=image.made_by,
        )
        if tags := list(image.tags.values_list("name", flat=True)):
            set_tags(kept.image, tags)
    return kept.image, binned
