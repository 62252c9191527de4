"""Learns to see drawn faces from rendered portraits: `python -m isengard.engine.pocket.face_detector` writes the
weights of drawing/drawn_faces.py. Some minutes on one core; no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from isengard.engine.drawing import drawn_faces
from isengard.engine.drawing.drawn_faces import REACH, SIDE
from isengard.engine.drawing.region import Box
from isengard.engine.pocket.faces import Person, Shot, person, render, shot

PIXELS = 96
# Far from the people that Pocket learned, and from those of its gates.
FIRST = 20_000
# Of a window's side: nearer than this it shows the face, further than that it shows something else.
NEAR, FAR = 0.2, 0.6
RIDGE = 3.0
# Wrong windows that one round adds at most.
MOST = 8000


@dataclass(frozen=True)
class Portrait:
    image: Image.Image
    face: Box


def face_of(who: Person, how: Shot) -> Box:
    """The window around a rendered face: the head turns around the neck (pen.py)."""
    angle, neck = math.radians(how.tilt), 0.24
    x, y = neck * math.sin(angle), neck - neck * math.cos(angle)
    middle = (x * how.zoom + 0.5 + how.offset[0], y * how.zoom + 0.49 + how.offset[1])
    half = who.face_height * how.zoom * REACH
    left, top, right, bottom = (PIXELS * (place + way * half) for way in (-1, 1) for place in middle)
    return Box(left, top, right, bottom)


def portraits(count: int, rng: np.random.Generator) -> list[Portrait]:
    """As soft as a small autoencoder makes them."""
    found = []
    for seed in range(FIRST, FIRST + count):
        who, how = person(seed), shot(seed)
        soft = ImageFilter.GaussianBlur(float(rng.uniform(0, 0.8)))
        found.append(Portrait(render(who, how, PIXELS).filter(soft), face_of(who, how)))
    return found


def shapes(rng: np.random.Generator) -> Image.Image:
    """Flat colours without a face."""
    image = Image.new("RGB", (PIXELS, PIXELS), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.integers(-10, PIXELS, 2).tolist()
        width, height = rng.integers(5, 50, 2).tolist()
        paint = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        paint((x, y, x + width, y + height), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def features(image: Image.Image, box: Box) -> np.ndarray:
    edges = tuple(round(edge) for edge in (box.left, box.top, box.right, box.bottom))
    part = image.crop(edges).resize((SIDE, SIDE), Image.Resampling.BILINEAR)  # type: ignore[arg-type]
    return np.asarray(drawn_faces.gradients(np.ascontiguousarray(np.asarray(part, np.uint8)[..., ::-1]))[0])


def shows(box: Box, face: Box) -> bool:
    """Whether a window is of the face's place and size."""
    across = (box.left + box.right - face.left - face.right) / 2
    down = (box.top + box.bottom - face.top - face.bottom) / 2
    return max(abs(across), abs(down)) < NEAR * face.width and FAR < box.width / face.width < 1 / FAR


def right(portrait: Portrait, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The face, moved and resized a little, and mirrored."""
    for _ in range(3):
        across, down = rng.normal(0, 0.03, 2) * PIXELS
        box = portrait.face.moved(across, down).grown(rng.uniform(-0.04, 0.04))
        yield features(portrait.image, box)
    face = Box(PIXELS - portrait.face.right, portrait.face.top, PIXELS - portrait.face.left, portrait.face.bottom)
    yield features(portrait.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), face)


def wrong(portrait: Portrait, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Any other part, and the picture upside down."""
    for _ in range(6):
        x, y, half = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.12, 0.5)
        box = Box((x - half) * PIXELS, (y - half) * PIXELS, (x + half) * PIXELS, (y + half) * PIXELS)
        if not shows(box, portrait.face):
            yield features(portrait.image, box)
    face = portrait.face
    turned = Box(PIXELS - face.right, PIXELS - face.bottom, PIXELS - face.left, PIXELS - face.top)
    yield features(portrait.image.rotate(180), turned)


def mistaken(weights: np.ndarray, known: list[Portrait], rng: np.random.Generator) -> list[np.ndarray]:
    """Windows without a face that the weights so far take for one."""
    found = []
    for portrait in known:
        seen = drawn_faces.windows(portrait.image, weights, 0.0)
        found += [features(portrait.image, box) for box, _ in seen if not shows(box, portrait.face)]
    for _ in range(len(known) // 4):
        image = shapes(rng)
        found += [features(image, box) for box, _ in drawn_faces.windows(image, weights, 0.0)]
    chosen = rng.permutation(len(found))[:MOST]
    return [found[at] for at in chosen]


def fitted(positive: list[np.ndarray], negative: list[np.ndarray]) -> np.ndarray:
    """Ridge regression to 1 and -1, both sides weighing the same; the last weight is the bias."""
    rows = np.array([*positive, *negative], np.float64)
    rows = np.hstack([rows, np.ones((len(rows), 1))])
    goal = np.repeat([1.0, -1.0], [len(positive), len(negative)])
    weight = np.repeat([len(negative) / len(positive), 1.0], [len(positive), len(negative)])[:, None]
    square = (rows * weight).T @ rows + RIDGE * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(square, (rows * weight).T @ goal), np.float32)


def learn(count: int = 400, rounds: int = 2, seed: int = 0) -> np.ndarray:
    """The weights after so many rounds of adding what they mistook."""
    rng = np.random.default_rng(seed)
    known = portraits(count, rng)
    positive = [row for portrait in known for row in right(portrait, rng)]
    negative = [row for portrait in known for row in wrong(portrait, rng)]
    weights = fitted(positive, negative)
    for _ in range(rounds):
        negative += mistaken(weights, known, rng)
        weights = fitted(positive, negative)
    return weights


if __name__ == "__main__":
    np.save(drawn_faces.WEIGHTS, learn())
