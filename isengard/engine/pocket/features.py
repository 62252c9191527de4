"""The parts of a portrait below the hair: background, clothes, face, eyes, mouth, beard, glasses.

Geometry and colour only, in the pen's head units; no words and no torch.
"""

from __future__ import annotations

import math

import numpy as np

from isengard.engine.pocket.pen import Pen, Points, arc, curve, mix, shade
from isengard.engine.pocket.people import BACKGROUNDS, EYES, FRAMES, SHIRTS, Colour, Person, Shot, worn_glasses


def outline(who: Person, grow: float = 1.0) -> Points:
    """The face: a superellipse whose lower half narrows to the chin."""
    t = np.linspace(0, 2 * math.pi, 72)
    power = 2 / who.squareness
    x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power
    y = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power
    x = x * (1 - who.jaw * np.clip(y, 0, None) ** 2)
    return np.stack([x * who.face_width * grow, y * who.face_height * grow], axis=1)


def draw_background(pen: Pen, how: Shot) -> None:
    colour = BACKGROUNDS[how.background]
    pen.draw.rectangle((0, 0, pen.side, pen.side), fill=pen.tint(colour))
    centre = arc(0.5 + 0.1 * how.light, 0.42, 0.44, 0.44, n=90) * pen.side
    pen.draw.polygon([(float(x), float(y)) for x, y in centre], fill=pen.tint(shade(colour, 0.14)))


def draw_body(pen: Pen, who: Person, how: Shot, skin: Colour) -> None:
    w, h = who.face_width, who.face_height
    shirt = SHIRTS[how.shirt]
    wide = 1.62 * w + (0.0 if who.sex == "woman" else 0.06)
    top, neck = h + 0.075, 0.42 * w + (0.0 if who.sex == "woman" else 0.012)
    side = [(-wide - 0.03, 0.75), (-wide, top + 0.1), (-wide * 0.8, top + 0.03), (-neck, top - 0.02)]
    body = curve([*side, *[(-x, y) for x, y in reversed(side)]])
    pen.fill(body, shirt, lean=False)
    for s in (-1, 1):
        pen.line(curve([(s * wide * 0.72, 0.75), (s * wide * 0.7, top + 0.2), (s * wide * 0.64, top + 0.14)]), 0.007,
                 shade(shirt, -0.22), lean=False)  # fmt: skip
    dip = {"round": 0.05, "v": 0.1, "collar": 0.075}[how.neckline]
    opening = [(-neck, top - 0.03), (-neck * 0.8, top + dip * 0.5), (0, top + dip), (neck * 0.8, top + dip * 0.5)]
    pen.fill(curve([*opening, (neck, top - 0.03)]), shade(skin, -0.06), lean=False)
    pen.fill(np.array([(-neck, h * 0.4), (neck, h * 0.4), (neck, top), (-neck, top)]), shade(skin, -0.06), lean=False)
    pen.fill(arc(0, h * 0.72, neck, h * 0.42, 0, 180), shade(skin, -0.22))
    if how.neckline == "collar":
        for s in (-1, 1):
            flap = [(s * (neck + 0.015), top - 0.035), (s * 0.006, top + 0.085), (s * neck * 1.35, top + 0.07)]
            pen.fill(np.array(flap), shade(shirt, 0.22 if sum(shirt) < 600 else -0.1), lean=False)


def draw_ears(pen: Pen, who: Person, skin: Colour) -> None:
    w = who.face_width
    for s in (-1, 1):
        pen.oval(s * w * 0.99, 0.012, 0.026, 0.042, shade(skin, -0.07))
        pen.oval(s * w * 0.99, 0.014, 0.013, 0.024, shade(skin, -0.2))


def draw_face(pen: Pen, who: Person, how: Shot, skin: Colour) -> None:
    w, h = who.face_width, who.face_height
    pen.fill(outline(who), shade(skin, -0.13))
    lit = outline(who, 0.99)
    lit[:, 0] = lit[:, 0] * 0.93 + how.light * 0.06 * w
    pen.fill(lit, skin)
    drift = how.turn * 0.2 * w
    for s in (-1, 1):
        pen.oval(s * 0.56 * w + drift, 0.36 * h, 0.034, 0.023, mix(skin, (235, 90, 90), 0.22))
    if who.freckles:
        spots = ((0.34, 0.2), (0.5, 0.16), (0.66, 0.22), (0.42, 0.34), (0.6, 0.36), (0.76, 0.33))
        colour = mix(skin, (140, 62, 24), 0.62) if who.skin != "dark" else shade(skin, -0.55)
        for x, y in (*spots, *[(-x, y) for x, y in spots], (0.1, 0.13), (-0.12, 0.11)):
            pen.oval(x * w + drift, y * h + 0.012, 0.0072, 0.0064, colour)
    if who.mole:
        pen.oval(who.mole * 0.4 * w + drift, 0.5 * h, 0.0085, 0.0085, shade(skin, -0.75))


def draw_eyes(pen: Pen, who: Person, how: Shot, hair: Colour, skin: Colour) -> None:
    w, size, drift = who.face_width, who.eye_size, how.turn * 0.2 * who.face_width
    wide = {"surprised": 1.25, "laughing": 0.78}.get(how.expression, 1.0)
    lift = {"surprised": -0.02, "smiling": -0.004, "laughing": -0.008}.get(how.expression, 0.0)
    brow = mix(hair, shade(skin, -0.55), 0.35) if who.hair_style != "bald" else shade(skin, -0.6)
    for s in (-1, 1):
        x, y = s * who.eye_gap * w + drift, -0.016
        tall = size * 0.82 * wide
        pen.oval(x, y, size, tall, (252, 252, 250))
        gaze = how.turn * size * 0.3
        pen.oval(x + gaze, y, tall * 0.74, tall * 0.8, EYES[who.eye_colour])
        pen.oval(x + gaze, y, tall * 0.42, tall * 0.46, (20, 16, 22))
        pen.oval(x + gaze - tall * 0.26, y - tall * 0.3, tall * 0.2, tall * 0.2, (255, 255, 255))
        lid = arc(x, y, size * 1.02, tall * 1.02, 192, 348, 16)
        pen.line(lid, 0.011 if who.sex == "woman" else 0.007, shade(skin, -0.78))
        if who.sex == "woman":
            tip = lid[-1] if s > 0 else lid[0]
            pen.line(np.stack([tip, tip + np.array([s * 0.014, -0.012])]), 0.008, shade(skin, -0.78))
        height = y - size * 1.1 - 0.024 + lift
        slant = who.brow_slant * 0.02
        inner, outer = (x - s * size * 0.95, height + slant), (x + s * size * 1.05, height - slant + 0.006)
        pen.line(curve([inner, (x, height - 0.012), outer]), who.brow_weight * 1.25, brow)


def draw_nose(pen: Pen, who: Person, how: Shot, skin: Colour) -> None:
    tip, drift = who.nose_length * who.face_height, how.turn * 0.3 * who.face_width
    n = who.nose_width
    colour = shade(skin, -0.26)
    pen.line(curve([(drift - n, tip - 0.012), (drift - n * 0.6, tip + 0.008), (drift + n * 0.7, tip + 0.008),
                    (drift + n, tip - 0.012)]), 0.010, colour)  # fmt: skip
    pen.line(
        curve([(drift * 0.75 + how.light * -0.008, 0.0), (drift + how.light * -n * 0.7, tip * 0.6)]),
        0.006,
        shade(skin, -0.17),
    )


def draw_mouth(pen: Pen, who: Person, how: Shot, skin: Colour) -> None:
    w, y, drift = who.face_width, 0.60 * who.face_height, how.turn * 0.22 * who.face_width
    half = who.mouth_width * w
    lips = mix(skin, (176, 30, 50), 0.62 if who.sex == "woman" else 0.4)
    if how.expression == "laughing":
        mouth = np.vstack([curve([(drift - half, y - 0.012), (drift, y - 0.006), (drift + half, y - 0.012)]),
                           arc(drift, y - 0.012, half, 0.068, 0, 180)])  # fmt: skip
        pen.fill(mouth, (112, 22, 34))
        pen.fill(np.vstack([arc(drift, y - 0.012, half * 0.9, 0.024, 0, 180, 20)]), (255, 255, 255))
        pen.fill(arc(drift, y + 0.05, half * 0.5, 0.018, 180, 360), (226, 92, 100))
        pen.line(np.vstack([mouth, mouth[:1]]), who.lip * 0.7, lips)
    elif how.expression == "surprised":
        pen.oval(drift, y + 0.012, half * 0.42 + who.lip, 0.038 + who.lip, lips)
        pen.oval(drift, y + 0.012, half * 0.42, 0.038, (92, 18, 30))
    else:
        bend, thick = (0.034, 0.015 + who.lip) if how.expression == "smiling" else (-0.003, 0.009 + who.lip)
        t = np.linspace(-1, 1, 41)
        x, middle = drift + half * t, y + bend * (0.6 - 1.4 * t**2)
        plump = thick * np.sqrt(np.clip(1 - t**2, 0, 1)) * 0.62
        upper, lower = np.stack([x, middle - plump], 1), np.stack([x, middle + plump], 1)
        pen.fill(np.vstack([upper, lower[::-1]]), lips)
        pen.line(np.stack([x, middle], 1), 0.006, shade(lips, -0.45))


def draw_beard(pen: Pen, who: Person, how: Shot, hair: Colour) -> None:
    w, h, drift = who.face_width, who.face_height, how.turn * 0.22 * who.face_width
    if who.beard == "beard":
        face = outline(who, 1.04)
        low = face[face[:, 1] > 0.1 * h]
        low = low[np.argsort(low[:, 0])]
        inner = [(w * 0.9, 0.12 * h), (w * 0.66, 0.38 * h), (0.3 * w + drift, 0.40 * h), (drift, 0.44 * h),
                 (drift - 0.3 * w, 0.40 * h), (-w * 0.66, 0.38 * h), (-w * 0.9, 0.12 * h)]  # fmt: skip
        pen.fill(np.vstack([low, curve(inner)]), hair)
    elif who.beard == "moustache":
        y = 0.47 * h
        left, right = drift - 0.52 * w, drift + 0.52 * w
        pen.fill(curve([(left, y + 0.028), (drift - 0.3 * w, y - 0.014), (drift, y - 0.006),
                        (drift + 0.3 * w, y - 0.014), (right, y + 0.028), (drift, y + 0.02), (left, y + 0.028)]),
                 hair)  # fmt: skip


def draw_glasses(pen: Pen, who: Person, how: Shot) -> None:
    kind = worn_glasses(who, how)
    if kind == "none":
        return
    w, drift, dark = who.face_width, how.turn * 0.2 * who.face_width, kind == "sunglasses"
    colour = (26, 24, 30) if dark else FRAMES[who.frame_colour]
    rx = min(who.eye_size * 1.62, who.eye_gap * w * 0.9)
    gap = who.eye_gap * w
    for s in (-1, 1):
        x = s * gap + drift
        if kind == "square":
            t = np.radians(np.linspace(0, 360, 41))
            ring = np.stack([x + rx * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** 0.35,
                             -0.012 + rx * 0.72 * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** 0.35], axis=1)  # fmt: skip
        else:
            ring = arc(x, -0.012, rx, rx * (0.8 if dark else 0.98))
        if dark:
            pen.fill(ring, (36, 34, 44))
            pen.line(arc(x, -0.012, rx * 0.62, rx * 0.5, 200, 260, 10), 0.008, (120, 124, 146))
        pen.line(ring, 0.015, colour)
        pen.line(np.array([(s * (gap + rx) + drift, -0.018), (s * w * 1.0, -0.024)]), 0.012, colour)
    pen.line(arc(drift, -0.012, max(gap - rx, 0.008), 0.016, 180, 360, 10), 0.013, colour)
