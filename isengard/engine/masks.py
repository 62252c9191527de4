"""Masks of the person in a photo, by OpenCV: GrabCut seeded from the face and the body below it, or the face's ellipse.

A first draft that people correct with a brush, not a segmentation network: there are no weights to ship. No torch, no
Django; what the faces are was found before (examine.py)."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from isengard.engine.events import Event, Sink, Stop
from isengard.engine.fitting import Box
from isengard.engine.specs import MaskImage, MaskSpec

Grey = NDArray[np.uint8]
# GrabCut's time grows with the pixels, and a mask is read at an eighth of the training's resolution at most.
WORKING_SIDE = 320
ROUNDS = 3  # of GrabCut: the fourth changes a hundredth of the picture and costs 0.1 s
# A detector's box spans brow to chin. Hair, ears and neck around it, in units of the box.
HEAD = (0.72, 0.95)  # half width, half height
HEAD_RISE = 0.15  # the head's middle lies above the box's
SHOULDERS = 1.75  # half width of the body, seven to eight heads high, of which shoulders are two to three heads wide
CHEST = 1.35  # the chest begins so many box heights below the box's top
LOWER = 0.2  # of the photo's height, at its lower edge
FACE = (0.36, 0.5)  # half width and height of what is skin for sure
GUESS: tuple[Box, ...] = ((0.36, 0.2, 0.28, 0.28),)  # where a portrait has its face
SMALLEST = 0.005  # of the picture: less is no person but a mistake


@dataclass(frozen=True)
class Drawn:
    """A mask of the picture's size, white = the person, and whether no face told where to look."""

    mask: Grey
    guessed: bool


def make(spec: MaskSpec, sink: Sink, stop: Stop) -> Event:
    """An `output` event per picture: {index, path, covered, guessed} or {index, code, reason}. Then the `result`.

    `covered`: the share of the picture that is white. What is already made stays when it is told to stop."""
    began, done = time.monotonic(), 0
    sink("stage", stage="masking", message="Looking for the person")
    for image in spec.images:
        if stop():
            break
        sink("output", index=image.index, **_made(image, spec.shape))
        done += 1
        sink("progress", step=done, total=len(spec.images))
    return {"masks": done, "seconds": round(time.monotonic() - began, 3), "stopped": done < len(spec.images)}


def _made(image: MaskImage, shape: Literal["person", "face"]) -> dict[str, Any]:
    picture = cv2.imread(image.path, cv2.IMREAD_COLOR)
    if picture is None:
        return _refusal("image_unreadable", "The photo cannot be read any more. Remove it and upload it again.")
    if shape == "face" and not image.faces:
        return _refusal("no_face", "No face is known here, so there is no place for an ellipse. Paint the mask.")
    drawn = draw(np.asarray(picture, np.uint8), image.faces, shape)
    covered = float(np.count_nonzero(drawn.mask)) / drawn.mask.size
    if covered < SMALLEST:
        return _refusal("nothing_found", "Nothing stood out from the background. Paint the mask.")
    path = Path(image.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", drawn.mask)[1].tobytes())
    return {"path": image.out, "covered": round(covered, 4), "guessed": drawn.guessed}


def _refusal(code: str, reason: str) -> dict[str, Any]:
    return {"code": code, "reason": reason}


def draw(picture: Grey, faces: tuple[Box, ...], shape: Literal["person", "face"]) -> Drawn:
    """The mask of a BGR picture (H, W, 3). `faces` as fractions of it, the main one first.

    Without a face the person is guessed in the middle; `shape` face needs one."""
    if shape == "face":
        return Drawn(_ellipses(picture.shape[:2], faces[:1], 255), guessed=False)
    height, width = picture.shape[:2]
    scale = min(WORKING_SIDE / max(height, width), 1.0)
    side = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.asarray(cv2.resize(picture, side, interpolation=cv2.INTER_AREA), np.uint8)
    cut = _cleaned(_grab_cut(small, faces[:1]), faces[:1])
    # Enlarged smoothly and cut at one half: straight edges instead of stairs.
    large = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)
    return Drawn(np.where(large > 127, 255, 0).astype(np.uint8), guessed=not faces)


def _grab_cut(small: Grey, faces: tuple[Box, ...]) -> Grey:
    """255 where GrabCut sees the person."""
    labels = _seeds(small.shape[:2], faces)
    background, person = np.zeros((1, 65)), np.zeros((1, 65))
    if min(small.shape[:2]) < 8 or len(np.unique(labels & 1)) < 2:
        return np.where(labels & 1, 255, 0).astype(np.uint8)
    cv2.setRNGSeed(0)  # its colour clusters start at random: the same photo must give the same mask
    cv2.grabCut(small, labels, (0, 0, 1, 1), background, person, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.where(labels & 1, 255, 0).astype(np.uint8)


def _seeds(size: tuple[int, int], faces: tuple[Box, ...]) -> Grey:
    """GrabCut's labels: sure background far from the body, face and chest surely the person, hair and arms probably."""
    height, width = size
    labels = np.full(size, cv2.GC_BGD, np.uint8)
    for x, y, wide, high in faces or GUESS:
        # A close-up ends before the chest would begin: what it shows below the face still is the person.
        middle, top = x + wide / 2, min(y + CHEST * high, max(1 - LOWER, y + high))
        for half, upper, label in (
            (1.35 * SHOULDERS * wide, y - 0.9 * high, cv2.GC_PR_BGD),
            (0.8 * SHOULDERS * wide, top, cv2.GC_PR_FGD),
        ):
            columns = slice(_at(middle - half, width), _at(middle + half, width))
            labels[_at(upper, height) :, columns] = label
    labels[_ellipses(size, faces or GUESS, 1) == 1] = cv2.GC_PR_FGD
    for x, y, wide, high in faces:  # a guessed place says nothing sure of the chest
        columns = slice(_at(x + wide / 2 - 0.35 * wide, width), _at(x + wide / 2 + 0.35 * wide, width))
        upper = min(y + (CHEST + 0.35) * high, max(1 - LOWER / 4, y + 1.05 * high))
        labels[_at(upper, height) : _at(y + (CHEST + 2) * high, height), columns] = cv2.GC_FGD
    labels[_ellipses(size, faces or GUESS, 1, FACE, 0.0) == 1] = cv2.GC_FGD
    return labels


def _at(fraction: float, side: int) -> int:
    return min(max(round(fraction * side), 0), side)


def _ellipses(
    size: tuple[int, int],
    faces: tuple[Box, ...],
    value: int,
    half: tuple[float, float] = HEAD,
    rise: float = HEAD_RISE,
) -> Grey:
    height, width = size
    canvas = np.zeros(size, np.uint8)
    for x, y, wide, high in faces:
        middle = (round((x + wide / 2) * width), round((y + (0.5 - rise) * high) * height))
        axes = (max(round(half[0] * wide * width), 1), max(round(half[1] * high * height), 1))
        cv2.ellipse(canvas, middle, axes, 0, 0, 360, value, -1)
    return canvas


def _cleaned(mask: Grey, faces: tuple[Box, ...]) -> Grey:
    """Specks and holes gone: the piece that holds the face (else the largest), its outline smoothed and closed."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    smooth = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), cv2.MORPH_CLOSE, kernel)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(smooth)
    if count < 2:
        return np.asarray(smooth, np.uint8)
    areas = facts[1:, cv2.CC_STAT_AREA]
    face = _ellipses((mask.shape[0], mask.shape[1]), faces or GUESS, 1, FACE, 0.0)
    held = np.bincount(labels[face == 1], minlength=count)[1:]
    keep = 1 + int(np.argmax(held if held.any() else areas))
    outlines, _ = cv2.findContours((labels == keep).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 255, -1)
    return filled
