"""The pixels a training sees of a photo: its crop, upright, scaled to a bucket. And of its mask: a weight per cell.

The trainer reads pictures through this, and pages show the same pixels through it, so it knows Pillow and no torch."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from isengard.engine.errors import EngineError

LONGEST_SIDE = 2  # times the resolution: beyond that a picture is cropped rather than squeezed into a ribbon
# x, y, width, height as fractions (0 … 1) of the upright picture.
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Bucket:
    """What the trainer scales to: sides that are multiples of `multiple` px with an area of about resolution²."""

    resolution: int
    multiple: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        return bucket_size(width, height, self.resolution, self.multiple)


def bucket_size(width: int, height: int, resolution: int, multiple: int) -> tuple[int, int]:
    """Width and height in pixels nearest the picture's aspect, multiples of `multiple`, area about resolution²."""
    ratio, best = width / height, (multiple, multiple)
    missed = float("inf")
    for columns in range(1, LONGEST_SIDE * resolution // multiple + 1):
        rows = max(1, round(resolution**2 / multiple**2 / columns))
        off = abs(math.log(columns / rows / ratio))
        if rows * multiple <= LONGEST_SIDE * resolution and off < missed:
            best, missed = (columns * multiple, rows * multiple), off
    return best


def pixel_box(crop: Box | None, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in whole pixels of a picture: inside of it and at least one pixel each way."""
    x, y, wide, high = crop or (0.0, 0.0, 1.0, 1.0)
    left, top = (min(max(round(at * side), 0), side - 1) for at, side in ((x, width), (y, height)))
    right, bottom = round((x + wide) * width), round((y + high) * height)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def picture(path: str | Path, bucket: Bucket, crop: Box | None = None) -> Image.Image:
    """The RGB pixels that are trained on: cut to the crop, scaled by Lanczos to cover its bucket, its overhang cut off.

    Never distorted. EngineError image_unreadable: the file is gone or is no picture."""
    opened = _opened(path)
    cut = opened.crop(pixel_box(crop, *opened.size))
    return ImageOps.fit(cut, bucket.size(*cut.size), Image.Resampling.LANCZOS)


def mask(
    path: str | Path, of: str | Path, bucket: Bucket, cells: tuple[int, int], crop: Box | None = None
) -> Image.Image:
    """A grey picture of (columns, rows) latent cells, 255 = the person, cut exactly as the photo `of` is.

    EngineError mask_unreadable: no picture. mask_size: it was made for another picture."""
    size, drawn = _size(of), _grey(path)
    if drawn.size != size:
        text = f"The mask of {Path(of).name} has {_px(drawn.size)}, but the photo has {_px(size)}. Make the mask again."
        raise EngineError("mask_size", text)
    cut = drawn.crop(pixel_box(crop, *size))
    return ImageOps.fit(cut, bucket.size(*cut.size), Image.Resampling.BOX).resize(cells, Image.Resampling.BOX)


def digest(path: str | Path) -> str:
    """SHA-256 of a file. EngineError mask_unreadable."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        raise _no_mask(path) from None


def _opened(path: str | Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError):
        name = Path(path).name
        text = f"The training picture {name} cannot be read any more. Remove it from the dataset and upload it again."
        raise EngineError("image_unreadable", text) from None


def _size(path: str | Path) -> tuple[int, int]:
    """Width and height upright, from the header alone where nothing turns the picture (stored photos: never)."""
    try:
        with Image.open(path) as opened:
            turned = opened.getexif().get(0x0112, 1) in {5, 6, 7, 8}
            return (opened.height, opened.width) if turned else opened.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError):
        return _opened(path).size


def _grey(path: str | Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return opened.convert("L")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError):
        raise _no_mask(path) from None


def _no_mask(path: str | Path) -> EngineError:
    return EngineError("mask_unreadable", f"The mask {Path(path).name} cannot be read any more. Make it again.")


def _px(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} pixels"
