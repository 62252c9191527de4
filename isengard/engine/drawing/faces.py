"""Faces in a picture for drawing them anew, seen by the detector that looks at photos (examine.py), else by one that
looks at drawings (drawn_faces.py). No torch."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from isengard.engine import examine
from isengard.engine.drawing import drawn_faces
from isengard.engine.drawing.region import Box
from isengard.engine.errors import EngineError

# Small faces in large pictures show only when it is looked at larger.
USUAL, LARGE = examine.DETECTION_SIDE, examine.MEASURED_SIDE


def find(image: Image.Image, detector: str = "") -> list[Box]:
    """Faces in pixels, the largest first; `detector` is the file of YuNet, "" for OpenCV's cascades."""
    yunet = detector if detector and Path(detector).is_file() else ""
    for side in (USUAL, LARGE) if max(image.size) > USUAL else (USUAL,):
        if found := _seen(image, side, yunet):
            break
    found = found or drawn_faces.find(image)
    return _apart(sorted(found, key=lambda box: box.width * box.height, reverse=True))


def _apart(boxes: list[Box]) -> list[Box]:
    """Without those whose middle lies in a larger one: several windows of a cascade may see the same face."""
    kept: list[Box] = []
    for box in boxes:
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        if not any(one.left <= x <= one.right and one.top <= y <= one.bottom for one in kept):
            kept.append(box)
    return kept


def _seen(image: Image.Image, side: int, yunet: str) -> list[Box]:
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 2), max(round(image.height * scale), 2))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.LANCZOS), np.uint8)
    drawn = examine.flat_share(grey) > examine.DRAWN_SHARE
    try:
        found, _ = examine.find_faces(grey, drawn, yunet)
    except cv2.error:
        # A file that is no YuNet model: the cascades need none.
        found, _ = examine.find_faces(grey, drawn, "")
    return [Box(x / scale, y / scale, (x + w) / scale, (y + h) / scale) for x, y, w, h in (one.box for one in found)]


def two(image: Image.Image, detector: str = "") -> tuple[Box, Box]:
    """The two largest faces, left first; where fewer are seen, each half of the picture is looked at alone.

    EngineError no_two_faces."""
    found = find(image, detector)[:2]
    if len(found) < 2:
        found = _of_halves(image, detector)
    if len(found) < 2:
        text = "Two faces are needed and not found in the picture. Try another seed, or a picture of two people."
        raise EngineError("no_two_faces", text)
    left, right = sorted(found, key=lambda box: box.left)
    return left, right


def _of_halves(image: Image.Image, detector: str) -> list[Box]:
    middle, found = image.width // 2, list[Box]()
    for start, end in ((0, middle), (middle, image.width)):
        seen = find(image.crop((start, 0, end, image.height)), detector)[:1]
        found += [box.moved(start, 0) for box in seen]
    return found
