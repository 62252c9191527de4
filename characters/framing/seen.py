"""A photo as a base model's trainer will see it: a bucket for each size the base is trained at. Loads no torch."""

import io
from dataclasses import dataclass

from django.conf import settings

from characters.framing import crops
from characters.models import ReferenceImage
from isengard import storage
from isengard.engine import catalog, fitting
from isengard.engine.catalog import Base
from isengard.engine.errors import EngineError
from isengard.engine.fitting import Box, Bucket
from isengard.errors import Invalid, NotFound

ENLARGED = 1.25  # beyond that a scaled-up photo visibly softens what is learnt


@dataclass(frozen=True)
class Look:
    """What becomes of a part of a photo at one resolution: the bucket's sides in pixels, and how it is scaled."""

    resolution: int
    width: int
    height: int
    scale: float
    cut: bool

    @property
    def enlarged(self) -> bool:
        return self.scale > ENLARGED


def trainable() -> list[Base]:
    return [base for base in catalog.BASES.values() if base.trainable]


def base_of(key: str) -> Base:
    """The base to look through; without a name the one that is trained by default. Invalid: not trained here."""
    wanted = key or ("pocket" if settings.ISENGARD_MODE == "fast-test" else "flux-dev")
    for base in trainable():
        if base.key == wanted:
            return base
    raise Invalid("unknown_base", f"{wanted!r} is no base model that can be trained. Choose another one.")


def resolutions(base: Base) -> tuple[int, ...]:
    """The sides offered for training, in pixels."""
    param = next(param for param in catalog.training_params(base.key) if param.name == "resolution")
    return tuple(int(side) for side in param.choices)


def looks(image: ReferenceImage, box: Box | None, base: Base) -> list[Look]:
    """One for each resolution, from numbers alone."""
    left, top, right, bottom = fitting.pixel_box(box, image.width, image.height)
    return [_look(right - left, bottom - top, Bucket(side, base.multiple)) for side in resolutions(base)]


def _look(wide: int, high: int, bucket: Bucket) -> Look:
    width, height = bucket.size(wide, high)
    scale = max(width / wide, height / high)
    # Half a pixel of overhang is rounding, not a cut.
    cut = wide * scale - width > 1 or high * scale - height > 1
    return Look(bucket.resolution, width, height, round(scale, 3), cut)


def pixels(image: ReferenceImage, kind: str, base: Base, resolution: int) -> bytes:
    """A PNG of exactly the pixels the trainer reads. Invalid: not a size of this base. NotFound: the file is gone."""
    if resolution not in resolutions(base):
        offered = ", ".join(map(str, resolutions(base)))
        raise Invalid("unknown_resolution", f"{base.label} is not trained at {resolution} px. Choose one of {offered}.")
    try:
        picture = fitting.picture(storage.absolute(image.file), Bucket(resolution, base.multiple), box(image, kind))
    except EngineError as error:
        raise NotFound(error.code, error.message) from error
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def box(image: ReferenceImage, kind: str) -> Box | None:
    """The part that a kind of sample shows: the main one all of the photo while it is not cropped."""
    found = {crop.kind: crop for crop in image.crops.all()}
    if kind not in crops.KINDS:
        raise Invalid("unknown_crop", f"There is no crop called {kind!r}. Choose one of {', '.join(crops.KINDS)}.")
    if kind in found and (found[kind].enabled or kind != "main"):
        return crops.box_of(found[kind])
    return None if kind == "main" else crops.suggestion(image, kind)
