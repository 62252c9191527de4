"""Faces in drawings, where detectors that learned from photos see none: gradients of a window, weighed by what was
learnt from rendered portraits (pocket/face_detector.py). NumPy and OpenCV; knows no model and no torch."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isengard.engine.drawing.region import Box

WEIGHTS = Path(__file__).with_name("drawn_faces.npy")
# Pixels of the window, and how far it reaches beyond the face: half its side is so many half heights of the face.
SIDE, REACH = 48, 1.2
CELL, STRIDE, BINS = 8, 4, 9
# A face is at least so much of the picture's shorter side; each size is a twelfth larger than the last one.
SMALLEST, GROWTH = 0.3, 1.12
# A drawing shows no more of itself when it is larger.
LARGEST = 400
# Measured: of 210 portraits that Pocket drew 193 are above, of 350 pictures without a face (parts, shuffled ones, heaps
# of shapes) none, of 25 photos without a face two.
SURE = 0.3
Weights = NDArray[np.float32]
Seen = tuple[Box, float]


@cache
def learnt() -> Weights:
    """One weight for each gradient of a window, and what is added to their sum."""
    return np.asarray(np.load(WEIGHTS), np.float32)


def gradients(bgr: NDArray[np.uint8], stride: int = SIDE) -> NDArray[np.float32]:
    """(windows, features): histograms of oriented gradients (Dalal and Triggs, 2005), row by row."""
    hog = cv2.HOGDescriptor((SIDE, SIDE), (2 * CELL, 2 * CELL), (CELL, CELL), (CELL, CELL), BINS)
    return np.asarray(hog.compute(bgr, (stride, stride)), np.float32).reshape(-1, hog.getDescriptorSize())


def find(image: Image.Image) -> list[Box]:
    """Faces in pixels, the surest first."""
    small = image.convert("RGB")
    small.thumbnail((LARGEST, LARGEST))
    scale = image.width / small.width
    kept: list[Box] = []
    for box, _ in sorted(windows(small, learnt(), SURE), key=lambda seen: seen[1], reverse=True):
        if not any(_overlap(box, other) for other in kept):
            kept.append(box)
    inset = -(1 - 1 / REACH) / 2
    return [Box(box.left * scale, box.top * scale, box.right * scale, box.bottom * scale).grown(inset) for box in kept]


def windows(image: Image.Image, weights: Weights, least: float) -> Iterator[Seen]:
    """Every window of an RGB picture whose score is at least so much; it may hang over the edge by a little."""
    bgr, share = np.asarray(image, np.uint8)[..., ::-1], SMALLEST
    while share <= 1:
        yield from _of_size(bgr, share * min(image.size), weights, least)
        share *= GROWTH


def _of_size(bgr: NDArray[np.uint8], side: float, weights: Weights, least: float) -> Iterator[Seen]:
    scale = SIDE / side
    size = (max(round(bgr.shape[1] * scale), SIDE), max(round(bgr.shape[0] * scale), SIDE))
    resized = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    framed = np.asarray(cv2.copyMakeBorder(resized, CELL, CELL, CELL, CELL, cv2.BORDER_REPLICATE), np.uint8)
    scores = gradients(framed, STRIDE) @ weights[:-1] + weights[-1]
    across = (framed.shape[1] - SIDE) // STRIDE + 1
    for at in np.flatnonzero(scores >= least):
        left, top = (float(place * STRIDE - CELL) / scale for place in (at % across, at // across))
        yield Box(left, top, left + side, top + side), float(scores[at])


def _overlap(one: Box, other: Box) -> bool:
    """Whether the middle of either lies in the other."""
    return _holds(one, other) or _holds(other, one)


def _holds(outer: Box, inner: Box) -> bool:
    x, y = (inner.left + inner.right) / 2, (inner.top + inner.bottom) / 2
    return outer.left <= x <= outer.right and outer.top <= y <= outer.bottom
