"""Hair and hats. Geometry and colour only, in the pen's head units; no words and no torch."""

from __future__ import annotations

import math

import numpy as np

from isengard.engine.pocket.features import outline
from isengard.engine.pocket.pen import Pen, Points, arc, curve, shade
from isengard.engine.pocket.people import Colour, Person, Shot

HAT_PALETTE: dict[str, Colour] = {
    "red": (208, 40, 46),
    "blue": (44, 92, 196),
    "yellow": (246, 200, 48),
    "black": (36, 34, 42),
}
GOLD: Colour = (226, 178, 60)


def _mass(w: float, top: float, low: float, bulge: float, tip: float) -> Points:
    """A closed curtain of hair behind the head: half-width `w`, from `top` to `low`, widening by `bulge`."""
    right = [(0.0, top), (w * 0.75, top * 0.86), (w, 0.0), (w * bulge, low * 0.55), (w * tip, low)]
    left = [(-x, y) for x, y in reversed(right[1:])]
    return curve([*right, (0.0, low * 1.02), *left, (0.0, top)])


def _curls(who: Person) -> list[tuple[float, float, float]]:
    """Circles (x, y, radius) around the head, thick on top and down to the jaw on the sides."""
    w, h = who.face_width, who.face_height
    circles = []
    for index in range(15):
        a = math.radians(150 + index * 240 / 14)
        wobble = 1.0 + 0.05 * (-1) ** index
        circles.append((1.12 * w * math.cos(a) * wobble, (1.0 * h * math.sin(a) - 0.02) * wobble, 0.34 * w))
    return circles


def draw_back_hair(pen: Pen, who: Person, how: Shot, hair: Colour) -> None:
    w, h = who.face_width, who.face_height
    back = shade(hair, -0.24)
    if who.hair_style == "long":
        grown = 1.95 if who.sex == "woman" else 1.35
        pen.fill(_mass(w * 1.24, -h * 1.12, h * grown, 1.06, 0.98), back)
        for s in (-1, 1):
            pen.line(
                curve([(s * w * 1.08, 0.1), (s * w * 1.16, h * 0.9), (s * w * 1.02, h * (grown - 0.12))]), 0.012, hair
            )
    elif who.hair_style == "bob":
        pen.fill(_mass(w * 1.3, -h * 1.14, h * 0.88, 1.1, 1.0), back)
    elif who.hair_style == "curly":
        for x, y, r in _curls(who):
            pen.oval(x, y, r * 1.12, r * 1.12, back)
        for s in (-1, 1):
            pen.oval(s * w * 1.16, h * 0.42, w * 0.32, w * 0.34, back)
            if who.sex == "woman":
                pen.oval(s * w * 1.14, h * 0.82, w * 0.30, w * 0.32, back)
    elif who.hair_style == "bun":
        pen.oval(0, -h * 1.34, w * 0.5, w * 0.46, back)
        pen.oval(-0.01, -h * 1.37, w * 0.42, w * 0.37, hair)
        pen.line(arc(0, -h * 1.36, w * 0.26, w * 0.2, 20, 290, 20), 0.008, back)
    if who.earrings and how.hat != "beanie":
        for s in (-1, 1):
            pen.oval(s * w * 1.02, 0.075, 0.015, 0.015, GOLD)


def _scalp(who: Person, grow: float, low: float) -> Points:
    """The upper rim of the head, grown, from the right side at y=`low` (in face heights) over the top to the left."""
    rim = outline(who, grow)
    top = rim[rim[:, 1] < low * who.face_height]
    return top[np.argsort(np.arctan2(top[:, 1], top[:, 0]))][::-1]


def _hairline(who: Person, how: Shot, depth: float, part: float) -> list[tuple[float, float]]:
    """The edge over the forehead from the left temple to the right one; `depth` in face heights."""
    w, h = who.face_width, who.face_height
    peak = part * w + how.fringe * 0.06 * w
    return [(-w * 0.99, -h * 0.10), (-w * 0.80, -h * (depth - 0.12)), (peak, -h * (depth + 0.12)),
            (w * 0.80, -h * (depth - 0.12)), (w * 0.99, -h * 0.10)]  # fmt: skip


def _spikes(who: Person) -> Points:
    w, h = who.face_width, who.face_height
    points = []
    for index in range(15):
        a = math.radians(188 + index * 164 / 14)
        reach = 1.42 if index % 2 else 1.02
        points.append((w * 1.04 * math.cos(a) * (1 + 0.1 * (reach - 1)), h * reach * math.sin(a) * 0.98))
    return np.array(points[::-1])


def draw_front_hair(pen: Pen, who: Person, how: Shot, hair: Colour) -> None:
    w, h, style = who.face_width, who.face_height, who.hair_style
    shine = shade(hair, 0.22)
    if style == "bald":
        pen.line(arc(-how.light * -w * 0.3, -h * 0.62, w * 0.3, h * 0.16, 215, 305, 12), 0.014, shade(hair, 0.85))
        return
    if style == "curly":
        for x, y, r in _curls(who):
            if y < -0.12 * h:
                pen.oval(x * (0.93 if y < -0.5 * h else 1.02), y * 0.97 - 0.012, r, r, hair)
        for x in (-0.62, -0.22, 0.2, 0.6):
            pen.oval(x * w, -h * 0.68 - 0.008, w * 0.27, w * 0.24, hair)
        for x, y, r in _curls(who)[2:-2:2]:
            pen.line(arc(x * 0.95, y * 0.98 - 0.012, r * 0.5, r * 0.5, 190, 300, 10), 0.009, shine)
        return
    if style == "spiky":
        edge = _hairline(who, how, 0.5, 0.0)
        pen.fill(np.vstack([_spikes(who), curve(edge)]), hair)
        return
    if style == "bob":
        fringe = [
            (-w * 1.16, -h * 0.02),
            (-w * 0.92, -h * 0.40),
            (0, -h * (0.44 + 0.03 * how.fringe)),
            (w * 0.92, -h * 0.40),
            (w * 1.16, -h * 0.02),
        ]
        pen.fill(np.vstack([_scalp(who, 1.17, -0.02), curve(fringe)]), hair)
        for s in (-1, 1):
            lock = ((0.92, -0.5), (1.3, 0), (1.3, 0.8), (1.02, 0.72), (0.96, 0), (0.92, -0.5))
            pen.fill(curve([(s * w * x, h * y) for x, y in lock]), hair)
    elif style == "long":
        side = 0.32 if who.eye_gap > 0.46 else -0.32
        pen.fill(np.vstack([_scalp(who, 1.14, -0.02), curve(_hairline(who, how, 0.58, side))]), hair)
        for s in (-1, 1):
            strand = ((0.8, -0.62), (1.2, -0.1), (1.22, 0.75), (1.04, 0.62), (0.93, -0.05), (0.8, -0.62))
            pen.fill(curve([(s * w * x, h * y) for x, y in strand]), hair)
    elif style == "bun":
        pen.fill(np.vstack([_scalp(who, 1.07, -0.02), curve(_hairline(who, how, 0.6, 0.0))]), hair)
    else:
        part = 0.45 if who.nose_width > 0.029 else -0.45
        pen.fill(np.vstack([_scalp(who, 1.1, -0.04), curve(_hairline(who, how, 0.52, part))]), hair)
    pen.line(arc(how.light * w * 0.25, -h * 0.5, w * 0.62, h * 0.44, 228, 296, 14), 0.013, shine)


def draw_hat(pen: Pen, who: Person, how: Shot) -> None:
    if how.hat == "none":
        return
    w, h, colour = who.face_width, who.face_height, HAT_PALETTE[how.hat_colour]
    puff = 1.34 if who.hair_style == "curly" else 1.18
    wide, brim = w * puff, -h * 0.52
    dark, light = shade(colour, -0.3), shade(colour, 0.2)
    if how.hat == "beanie":
        pen.fill(arc(0, brim, wide, h * 0.86, 180, 360), colour)
        for x in (-0.5, 0.0, 0.5):
            pen.line(
                curve([(x * wide * 0.9, brim), (x * wide * 0.75, brim - h * 0.4), (x * wide * 0.3, brim - h * 0.8)]),
                0.007,
                dark,
            )
        pen.line(np.array([(-wide * 0.93, brim), (wide * 0.93, brim)]), 0.062, light)
        pen.oval(0, brim - h * 0.88, 0.042, 0.042, light)
    elif how.hat == "cap":
        s = 1 if how.turn >= 0 else -1
        pen.fill(arc(0, brim, wide, h * 0.74, 180, 360), colour)
        pen.line(
            curve([(s * wide * 0.1, brim - h * 0.72), (s * wide * 0.3, brim - h * 0.4), (s * wide * 0.34, brim)]),
            0.007,
            dark,
        )
        pen.line(
            curve([(-s * wide * 0.2, brim), (s * wide * 0.8, brim + 0.004), (s * wide * 1.55, brim + 0.026)]),
            0.045,
            dark,
        )
        pen.oval(0, brim - h * 0.74, 0.016, 0.012, dark)
    else:
        pen.fill(
            np.array([(-w * 0.86, brim - h * 1.06), (w * 0.86, brim - h * 1.06), (w * 0.8, brim), (-w * 0.8, brim)]),
            colour,
        )
        pen.line(np.array([(-w * 0.78, brim - 0.045), (w * 0.78, brim - 0.045)]), 0.05, (176, 40, 48))
        pen.line(curve([(-wide * 1.35, brim - 0.012), (0, brim + 0.014), (wide * 1.35, brim - 0.012)]), 0.04, colour)
