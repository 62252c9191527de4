"""Which part of a photo is trained on: suggested from its faces, changed by people, kept as fractions beside the photo.

The stored picture is never cut. Knows rows and numbers; no request, no pixels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from characters.models import Crop, ImageQuerySet, ReferenceImage
from isengard.engine.fitting import Box
from isengard.errors import Invalid

KINDS = {"main": "Photo", "face": "Face", "half": "Upper body"}
EXTRAS = ("face", "half")
# What a further sample shows, said behind the photo's caption.
WORDS = {"face": "close-up of the face", "half": "upper body"}
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
# Height of the crop, height over width, and where the face's middle lies in it from the top; in heights of the
# detector's box, which spans brow to chin: two hold head and hair, four head to waist (a body is seven to eight heads
# of 1.3 boxes), six leave room around a person who sits or stands to the knees.
SHAPES = {"main": (6.0, 1.25, 0.34), "face": (2.2, 1.0, 0.5), "half": (4.2, 1.25, 0.3)}
NO_FACE = 1.25  # height over width of the middle upper part, taken where no face is known
NEARLY_WHOLE = 0.9  # of the photo's area: then cutting the rest away gains nothing
FIELDS = ("x", "y", "width", "height")
BATCH = 500
SMALLEST_SIDE = 16  # pixels; less shows nobody


@dataclass(frozen=True)
class Suggested:
    """How many photos got crops, and how many were left alone because no face is known there, or a person had cut."""

    made: int
    without_face: int
    kept: int


def box_of(crop: Crop) -> Box:
    return crop.x, crop.y, crop.width, crop.height


def faces(image: ReferenceImage) -> tuple[Box, ...]:
    """The faces that the doctor found, the largest first; none while the photo was not examined."""
    examination = getattr(image, "examination", None)
    found = examination.faces if examination is not None else []
    boxes = [(face["x"], face["y"], face["width"], face["height"]) for face in found]
    return tuple(sorted(boxes, key=lambda box: -box[2] * box[3]))


def suggestion(image: ReferenceImage, kind: str) -> Box:
    """A box around the largest face; the whole photo where little would be cut, or nobody knows what may be cut.

    A further sample without a known face begins as the middle upper part, for a person to move."""
    known = faces(image)
    if not known:
        return WHOLE if kind == "main" else _upper_middle(image)
    box = _around(image, known[0], kind)
    return WHOLE if kind == "main" and box[2] * box[3] > NEARLY_WHOLE else box


def _around(image: ReferenceImage, face: Box, kind: str) -> Box:
    x, y, width, height = face
    heights, tall, middle = SHAPES[kind]
    high = min(heights * height, 1.0)
    wide = min(heights * height * image.height / tall / image.width, 1.0)
    left = min(max(x + width / 2 - wide / 2, 0.0), 1 - wide)
    top = min(max(y + height / 2 - middle * high, 0.0), 1 - high)
    return left, top, wide, high


def _upper_middle(image: ReferenceImage) -> Box:
    wide = min(image.height / NO_FACE / image.width, 1.0)
    high = min(image.width * NO_FACE / image.height, 1.0)
    return (1 - wide) / 2, (1 - high) * 0.2, wide, high


def save(*, image: ReferenceImage, kind: str, box: Box, enabled: bool = True, by: str = "user") -> Crop:
    """The photo's crop of this kind. Invalid: an unknown kind, a box outside the photo or of a few pixels."""
    x, y, width, height = cleaned(image, kind, box)
    fields = {"x": x, "y": y, "width": width, "height": height, "enabled": enabled, "by": by}
    crop, _ = Crop.objects.update_or_create(image=image, kind=kind, defaults=fields)
    return crop


def cleaned(image: ReferenceImage, kind: str, box: Box) -> Box:
    if kind not in KINDS:
        raise Invalid("unknown_crop", f"There is no crop called {kind!r}. Choose one of {', '.join(KINDS)}.")
    if not all(math.isfinite(number) for number in box):
        raise Invalid("bad_crop", "A crop is four numbers from 0 to 1: x, y, width and height.")
    x, y = (min(max(number, 0.0), 1.0) for number in box[:2])
    width, height = min(box[2], 1 - x), min(box[3], 1 - y)
    if width * image.width < min(SMALLEST_SIDE, image.width) or height * image.height < min(
        SMALLEST_SIDE, image.height
    ):
        text = f"The crop must be at least {SMALLEST_SIDE} pixels wide and high. Draw it larger."
        raise Invalid("crop_too_small", text)
    return x, y, width, height


def enable(*, image: ReferenceImage, kind: str, enabled: bool) -> Crop | None:
    """Turns a crop on or off for training; turning on where there is none takes the suggestion."""
    crop = Crop.objects.filter(image=image, kind=kind).first()
    if crop is None:
        return save(image=image, kind=kind, box=suggestion(image, kind), by="auto") if enabled else None
    Crop.objects.filter(pk=crop.pk).update(enabled=enabled)
    crop.enabled = enabled
    return crop


def remove(*, image: ReferenceImage, kind: str) -> None:
    """Back to the whole photo, or to no further sample."""
    Crop.objects.filter(image=image, kind=kind).delete()


def suggest(*, images: ImageQuerySet, kinds: Iterable[str], replace: bool = False) -> Suggested:
    """Crops for a selection, around the faces that are known. What a person drew stays unless `replace`."""
    wanted = {kind for kind in kinds if kind in KINDS}
    made: list[Crop] = []
    without = kept = 0
    found = images.order_by("pk").select_related("examination").prefetch_related("crops")
    for image in found.iterator(chunk_size=BATCH):
        theirs = {crop.kind for crop in image.crops.all() if crop.by == "user" and not replace}
        if not faces(image):
            without += 1
            continue
        kept += bool(theirs & wanted)
        made += [_suggested(image, kind) for kind in sorted(wanted - theirs)]
    Crop.objects.bulk_create(
        made, BATCH, update_conflicts=True, unique_fields=["image", "kind"], update_fields=[*FIELDS, "by", "enabled"]
    )
    return Suggested(len({crop.image_id for crop in made}), without, kept)


def _suggested(image: ReferenceImage, kind: str) -> Crop:
    box = dict(zip(FIELDS, suggestion(image, kind), strict=True))
    return Crop(image=image, kind=kind, by="auto", enabled=True, **box)


def samples(image: ReferenceImage) -> list[tuple[str, Box | None]]:
    """What a training takes from the photo: the whole of it (None) or its main crop, then its further crops."""
    boxes = {crop.kind: box_of(crop) for crop in image.crops.all() if crop.enabled}
    return [("main", boxes.get("main")), *((kind, boxes[kind]) for kind in EXTRAS if kind in boxes)]


def words(kind: str, caption: str) -> str:
    """The caption of a sample: a further crop says what it shows."""
    return f"{caption.rstrip(' .,')}, {WORDS[kind]}" if kind in WORDS else caption
