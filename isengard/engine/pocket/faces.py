"""Procedural portraits, the only thing Pocket has ever seen: people, shots, pictures and captions.

Pillow and numpy only: the pages, the demo and the tests use it on machines where torch is never loaded.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from isengard.engine.pocket.captions import caption
from isengard.engine.pocket.people import Person, Shot, person, sample_person, sample_shots, shot
from isengard.engine.pocket.portrait import render

__all__ = ["SAMPLE_NAME", "Person", "Shot", "caption", "person", "render", "sample_person", "sample_photos", "shot"]

SAMPLE_NAME = "Mira"


def sample_photos(size: int = 512, count: int = 12, name: str | None = None) -> list[tuple[str, Image.Image, str]]:
    """`count` photos of the sample character as (file name, RGB picture of `size` x `size`, caption).

    The captions tell what varies (expression, clothes, background), not how she looks, as one captions an identity set;
    with `name` they call her by it ("a photo of ohwx, ..."), without it she is "a woman".
    """
    mira = sample_person()
    rng = np.random.default_rng(12)
    photos = []
    for index, how in enumerate(sample_shots(count)):
        text = caption(mira, how, rng, name=name, looks=False)
        photos.append((f"{SAMPLE_NAME.lower()}-{index + 1:02d}.png", render(mira, how, size), text))
    return photos
