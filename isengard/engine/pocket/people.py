"""Who is in a portrait and how it was taken: Person is the stable identity, Shot is what changes between pictures.

Pure numbers and words; knows nothing of drawing, torch or files. The attribute space is small on purpose: a model of
a few million parameters has to learn all of it on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[int, int, int]

SKINS: dict[str, Colour] = {
    "pale": (255, 224, 204), "tan": (233, 179, 133), "brown": (168, 108, 70), "dark": (99, 61, 44),
}  # fmt: skip
HAIR_COLOURS: dict[str, Colour] = {
    "black": (38, 32, 36), "brown": (104, 62, 36), "blond": (240, 204, 106), "auburn": (186, 66, 28),
    "grey": (172, 174, 180), "pink": (246, 120, 176), "blue": (58, 98, 214), "green": (60, 160, 84),
}  # fmt: skip
BACKGROUNDS: dict[str, Colour] = {
    "white": (244, 243, 240), "grey": (140, 144, 154), "blue": (84, 136, 226), "green": (104, 184, 116),
    "yellow": (250, 214, 84), "orange": (246, 152, 62), "pink": (250, 178, 204), "purple": (140, 92, 190),
}  # fmt: skip
SHIRTS: dict[str, Colour] = {
    "red": (206, 46, 48), "blue": (40, 84, 184), "green": (34, 128, 74),
    "yellow": (244, 198, 40), "white": (250, 250, 250), "black": (40, 40, 48),
}  # fmt: skip
FRAMES: dict[str, Colour] = {"black": (30, 28, 34), "red": (200, 40, 44), "green": (24, 150, 92)}
EYES: dict[str, Colour] = {"brown": (94, 56, 30), "blue": (52, 112, 196), "green": (48, 140, 78)}
WOMEN_STYLES = ("long", "curly", "bob", "bun", "short")
MEN_STYLES = ("short", "spiky", "curly", "bald", "long")
HAIR_STYLES = ("bald", "short", "spiky", "curly", "bob", "long", "bun")
BEARDS = ("none", "beard", "moustache")
GLASSES = ("none", "round", "square", "sunglasses")
HATS = ("none", "cap", "beanie", "top hat")
HAT_COLOURS = ("red", "blue", "yellow", "black")
EXPRESSIONS = ("serious", "smiling", "laughing", "surprised")


@dataclass(frozen=True)
class Person:
    """One identity. Lengths are fractions of the picture's side at zoom 1."""

    sex: str  # "woman" or "man"
    skin: str
    hair_colour: str
    hair_style: str
    eye_colour: str
    beard: str
    glasses: str  # the pair this person usually wears, or "none"
    frame_colour: str
    freckles: bool
    mole: int  # -1 left cheek, 0 none, +1 right cheek
    earrings: bool
    face_width: float
    face_height: float
    jaw: float  # 0 round .. .4 pointed
    squareness: float  # exponent of the outline: 2 ellipse .. 2.7 boxy
    eye_gap: float
    eye_size: float
    brow_weight: float
    brow_slant: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip: float
    tone: float  # -1 .. 1, small shift of skin and hair lightness


@dataclass(frozen=True)
class Shot:
    """What differs between two photos of one person."""

    expression: str
    turn: float  # -1 looks to the picture's left .. 1 right
    tilt: float  # degrees, positive leans clockwise
    light: float  # -1 from the left .. 1 from the right
    brightness: float  # multiplies every colour
    background: str
    shirt: str
    neckline: str  # "round", "v" or "collar"
    hat: str
    hat_colour: str
    glasses: str  # "own", "none" or "sunglasses"
    zoom: float
    offset: tuple[float, float]
    fringe: float  # how the hair falls today


def _pick(rng: np.random.Generator, options: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
    chance = None if weights is None else np.asarray(weights) / sum(weights)
    return str(options[int(rng.choice(len(options), p=chance))])


def person(seed: int) -> Person:
    """The person with this number; the same seed is the same face for ever."""
    rng = np.random.default_rng([11, seed])
    woman = bool(rng.random() < 0.5)
    unit = rng.random
    return Person(
        sex="woman" if woman else "man",
        skin=_pick(rng, tuple(SKINS)),
        hair_colour=_pick(rng, tuple(HAIR_COLOURS)),
        hair_style=_pick(rng, WOMEN_STYLES if woman else MEN_STYLES),
        eye_colour=_pick(rng, tuple(EYES)),
        beard="none" if woman else _pick(rng, BEARDS, (0.55, 0.27, 0.18)),
        glasses=_pick(rng, GLASSES[:3], (0.64, 0.18, 0.18)),
        frame_colour=_pick(rng, tuple(FRAMES), (0.5, 0.25, 0.25)),
        freckles=bool(unit() < 0.18),
        mole=int(rng.choice((-1, 0, 0, 0, 0, 0, 0, 1))),
        earrings=bool(woman and unit() < 0.3),
        face_width=0.165 + 0.04 * unit() + (0 if woman else 0.01),
        face_height=0.215 + 0.035 * unit(),
        jaw=(0.22 if woman else 0.1) + 0.16 * unit(),
        squareness=2.0 + (0.3 if woman else 0.6) * unit(),
        eye_gap=0.40 + 0.12 * unit(),
        eye_size=0.030 + 0.012 * unit() + (0.003 if woman else 0),
        brow_weight=(0.008 if woman else 0.012) + 0.007 * unit(),
        brow_slant=-0.25 + 0.5 * unit(),
        nose_length=0.26 + 0.14 * unit(),
        nose_width=0.020 + 0.018 * unit(),
        mouth_width=0.34 + 0.16 * unit(),
        lip=(0.012 if woman else 0.006) + 0.006 * unit(),
        tone=-1 + 2 * unit(),
    )


def shot(seed: int) -> Shot:
    """The way of taking a picture with this number, whoever is in it."""
    rng = np.random.default_rng([23, seed])
    hat = _pick(rng, HATS, (0.72, 0.1, 0.1, 0.08))
    return Shot(
        expression=_pick(rng, EXPRESSIONS),
        turn=float(rng.choice((0, 0, -1, 1)) * rng.uniform(0.6, 1) + rng.normal(0, 0.08)),
        tilt=float(np.clip(rng.normal(0, 4), -9, 9)),
        light=float(rng.choice((-1, 1)) * rng.uniform(0.5, 1)),
        brightness=float(rng.uniform(0.92, 1.04)),
        background=_pick(rng, tuple(BACKGROUNDS)),
        shirt=_pick(rng, tuple(SHIRTS)),
        neckline=_pick(rng, ("round", "v", "collar")),
        hat=hat,
        hat_colour="black" if hat == "top hat" else _pick(rng, HAT_COLOURS),
        glasses=_pick(rng, ("own", "none", "sunglasses"), (0.84, 0.06, 0.10)),
        zoom=float(rng.choice((1.15, 1.15, 1.15, 1.45)) * rng.uniform(0.94, 1.04)),
        offset=(float(rng.uniform(-0.03, 0.03)), float(rng.uniform(-0.015, 0.02))),
        fringe=float(rng.uniform(-1, 1)),
    )


def worn_glasses(who: Person, how: Shot) -> str:
    """What sits on the nose in this picture: one of GLASSES."""
    return who.glasses if how.glasses == "own" else how.glasses


def sample_person() -> Person:
    """Mira, the character of the first run; drawn by hand, so she is nobody from pretraining."""
    return replace(
        person(0), sex="woman", skin="pale", hair_colour="auburn", hair_style="curly", eye_colour="green", beard="none",
        glasses="round", frame_colour="green", freckles=True, mole=0, earrings=False, face_width=0.178,
        face_height=0.226, jaw=0.3, squareness=2.05, eye_gap=0.46, eye_size=0.041, brow_weight=0.011, brow_slant=0.1,
        nose_length=0.3, nose_width=0.026, mouth_width=0.44, lip=0.015, tone=0.15,
    )  # fmt: skip


def sample_shots(count: int) -> list[Shot]:
    """Varied shots for the sample character: every background and expression in turn, her glasses on in most."""
    grounds, shirts = tuple(BACKGROUNDS), tuple(SHIRTS)
    hats = ("none", "none", "beanie", "none", "none", "cap", "none", "none")
    shots = []
    for index in range(count):
        hat = hats[index % len(hats)]
        colour = HAT_COLOURS[(index // 2) % len(HAT_COLOURS)]
        shots.append(replace(
            shot(7000 + index), background=grounds[(3 * index + 2) % len(grounds)],
            expression=EXPRESSIONS[(index + 1) % 4], shirt=shirts[(index + 1) % len(shirts)],
            hat=hat, hat_colour=colour, glasses="own",
        ))  # fmt: skip
    return shots
