"""Parts of a picture: where they are, at what size they are drawn, and how the new melts into the old.

Pixels only; knows no model."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Times the base's native area, beyond which a part is drawn smaller, and below which larger, than it is.
LARGEST, SMALLEST = 4.0, 0.25
# A face's mask reaches past the detector's box, which leaves out hair and chin.
FACE_REACH = 0.2


@dataclass(frozen=True)
class Box:
    """Edges in pixels of a picture; may lie between pixels until `within`."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def moved(self, right: float, down: float) -> "Box":
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def grown(self, share: float) -> "Box":
        across, down = self.width * share, self.height * share
        return Box(self.left - across, self.top - down, self.right + across, self.bottom + down)

    def at_least(self, side: float) -> "Box":
        """Around the same middle, each side at least so long."""
        across, down = (max(side - length, 0) / 2 for length in (self.width, self.height))
        return Box(self.left - across, self.top - down, self.right + across, self.bottom + down)

    def within(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Whole pixels inside a picture of this size: left, top, right, bottom."""
        left, top = max(math.floor(self.left), 0), max(math.floor(self.top), 0)
        right, bottom = min(math.ceil(self.right), size[0]), min(math.ceil(self.bottom), size[1])
        return left, top, max(right, left + 1), max(bottom, top + 1)


def whole(image: Image.Image) -> Box:
    return Box(0, 0, image.width, image.height)


def painted(mask: Image.Image) -> Box:
    """Around everything that is not black."""
    left, top, right, bottom = mask.getbbox() or (0, 0, *mask.size)
    return Box(left, top, right, bottom)


def face_mask(size: tuple[int, int], face: Box) -> Image.Image:
    """White in the oval of a face with what belongs to it."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    around = face.grown(FACE_REACH)
    middle = (round((around.left + around.right) / 2), round((around.top + around.bottom) / 2))
    cv2.ellipse(mask, middle, (round(around.width / 2), round(around.height / 2)), 0, 0, 360, 255, -1)
    return Image.fromarray(mask)


def native(size: tuple[float, float], side: int, multiple: int) -> tuple[int, int]:
    """A size of the same proportions with about the area of the base's native square; multiples."""
    return _scaled(size, math.sqrt(side * side / (size[0] * size[1])), multiple)


def workable(size: tuple[float, float], side: int, multiple: int) -> tuple[int, int]:
    """The size itself as multiples, unless the base cannot draw so large or so small."""
    share = size[0] * size[1] / (side * side)
    wanted = min(max(share, SMALLEST), LARGEST)
    return _scaled(size, math.sqrt(wanted / share), multiple)


def _scaled(size: tuple[float, float], scale: float, multiple: int) -> tuple[int, int]:
    width, height = (max(round(length * scale / multiple), 1) * multiple for length in size)
    return width, height


def softened(mask: Image.Image, feather: int) -> NDArray[np.float32]:
    """(H, W) in 0 … 1: how much of the new picture counts. Exactly 0 where the mask is black; rises over `feather`
    pixels inside it, or over half its depth where it is thin. The picture's own edge is no edge of the mask."""
    grey = np.asarray(mask, np.uint8)
    depth = cv2.distanceTransform((grey > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ramp = depth / (min(float(feather), float(depth.max()) / 2) + 1)
    return np.asarray(np.minimum(np.minimum(ramp, 1.0), grey / np.float32(255)), np.float32)


def pasted(
    source: Image.Image, new: Image.Image, box: tuple[int, int, int, int], share: NDArray[np.float32]
) -> Image.Image:
    """`source` with `new` (of the box's size) in the box, as far as `share` (of the source's size) lets it."""
    left, top, right, bottom = box
    old = np.asarray(source.crop(box), np.float32)
    amount = share[top:bottom, left:right, None]
    mixed = np.rint(old + (np.asarray(new, np.float32) - old) * amount).clip(0, 255).astype(np.uint8)
    result = source.copy()
    result.paste(Image.fromarray(mixed), (left, top))
    return result
