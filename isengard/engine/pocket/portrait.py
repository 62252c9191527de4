"""Draws a Person in a Shot, back to front. Deterministic; no words and no torch."""

from __future__ import annotations

from PIL import Image

from isengard.engine.pocket.features import (
    draw_background,
    draw_beard,
    draw_body,
    draw_ears,
    draw_eyes,
    draw_face,
    draw_glasses,
    draw_mouth,
    draw_nose,
)  # fmt: skip
from isengard.engine.pocket.hair import draw_back_hair, draw_front_hair, draw_hat
from isengard.engine.pocket.pen import Pen, shade
from isengard.engine.pocket.people import HAIR_COLOURS, SKINS, Person, Shot


def render(who: Person, how: Shot, size: int) -> Image.Image:
    """The portrait as an RGB picture of `size` x `size` pixels; the same arguments give the same bytes."""
    pen = Pen(size, how)
    skin = shade(SKINS[who.skin], 0.05 * who.tone)
    hair = shade(HAIR_COLOURS[who.hair_colour], 0.06 * who.tone)
    draw_background(pen, how)
    draw_back_hair(pen, who, how, hair)
    draw_body(pen, who, how, skin)
    draw_ears(pen, who, skin)
    draw_face(pen, who, how, skin)
    draw_beard(pen, who, how, hair)
    draw_nose(pen, who, how, skin)
    draw_mouth(pen, who, how, skin)
    draw_eyes(pen, who, how, hair, skin)
    draw_front_hair(pen, who, how, hair)
    draw_glasses(pen, who, how)
    draw_hat(pen, who, how)
    return pen.image.resize((size, size), Image.Resampling.BOX if size < 200 else Image.Resampling.LANCZOS)
