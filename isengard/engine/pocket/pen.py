"""The pen that portraits are drawn with: polygons, strokes and colour mixing, supersampled, at any size.

Knows no face and no torch. Lengths are head units: the origin is the middle of the face, y points down, 1 is the side
of the picture at zoom 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from isengard.engine.pocket.people import Colour, Shot

Points = np.ndarray  # (n, 2) float
SUPERSAMPLE = 3


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` moved towards `b` by `share` in 0..1."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def shade(colour: Colour, amount: float) -> Colour:
    """Lighter for positive, darker for negative `amount`."""
    return mix(colour, (255, 250, 240), amount) if amount > 0 else mix(colour, (24, 10, 30), -amount)


def arc(cx: float, cy: float, rx: float, ry: float, start: float = 0, end: float = 360, n: int = 40) -> Points:
    """Points on an ellipse, degrees clockwise from the right."""
    t = np.radians(np.linspace(start, end, n))
    return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], axis=1)


def curve(points: Iterable[tuple[float, float]], n: int = 12) -> Points:
    """Catmull-Rom spline through the points, ends included."""
    p = np.asarray(list(points), dtype=float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, n, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack([*pieces, p[-2:-1]])


class Pen:
    """Head units → pixels: zoom, offset and tilt around the neck, applied to every shape alike."""

    def __init__(self, size: int, how: Shot) -> None:
        self.side = size * SUPERSAMPLE
        self.how = how
        self.image = Image.new("RGB", (self.side, self.side))
        self.draw = ImageDraw.Draw(self.image)

    def tint(self, colour: Colour) -> Colour:
        return tuple(min(255, round(c * self.how.brightness)) for c in colour)  # type: ignore[return-value]

    def place(self, points: Points, lean: bool) -> list[tuple[float, float]]:
        xy = points
        if lean:
            a = math.radians(self.how.tilt)
            turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
            xy = (points - (0, 0.24)) @ turn + (0, 0.24)
        dx, dy = self.how.offset
        xy = (xy * self.how.zoom + (0.5 + dx, 0.49 + dy)) * self.side
        return [(float(x), float(y)) for x, y in xy]

    def fill(self, points: Points, colour: Colour, lean: bool = True) -> None:
        self.draw.polygon(self.place(points, lean), fill=self.tint(colour))

    def oval(self, cx: float, cy: float, rx: float, ry: float, colour: Colour) -> None:
        self.fill(arc(cx, cy, rx, ry), colour)

    def line(self, points: Points, width: float, colour: Colour, lean: bool = True) -> None:
        """A stroke with round ends; `width` in head units."""
        xy, pixels = self.place(points, lean), max(1, round(width * self.how.zoom * self.side))
        self.draw.line(xy, fill=self.tint(colour), width=pixels, joint="curve")
        r = pixels / 2
        for x, y in (xy[0], xy[-1]):
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=self.tint(colour))
