"""Does Pocket draw what the prompt says? Read off by colour alone: the corners for the background, the chest for the
shirt, the rim above the forehead for the hair.

The same reader on real renders says how far it can be trusted. Needs the finished folder, no judge network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from isengard.engine.pocket.captions import facts, say
from isengard.engine.pocket.faces import person, render, shot
from isengard.engine.pocket.people import BACKGROUNDS, HAIR_COLOURS, SHIRTS, Colour, Person, Shot
from isengard.engine.pocket.sheet import draw, load

BATCH = 32


def _nearest(pixels: np.ndarray, palette: dict[str, Colour]) -> str:
    middle = np.median(pixels.reshape(-1, 3), axis=0)
    return min(palette, key=lambda name: float(np.abs(middle - np.asarray(palette[name])).sum()))


def read(picture: np.ndarray) -> dict[str, str]:
    """(64, 64, 3) uint8 → the colours it shows, by their caption words."""
    corners = np.concatenate([picture[:5, :5].reshape(-1, 3), picture[:5, -5:].reshape(-1, 3)])
    return {
        "background": _nearest(corners, BACKGROUNDS),
        "shirt": _nearest(picture[59:64, 24:40], SHIRTS),
        "hair_colour": _nearest(picture[12:17, 29:35], HAIR_COLOURS),
    }


def subjects(count: int) -> list[tuple[Person, Shot]]:
    """People and shots never seen in training, bare-headed and with hair, so that all three colours show."""
    found: list[tuple[Person, Shot]] = []
    for seed in range(960_000, 960_000 + 4 * count):
        who = person(seed)
        if who.hair_style != "bald" and len(found) < count:
            found.append((who, replace(shot(seed), hat="none", zoom=1.15)))
    return found


def _share(pictures: list[np.ndarray], pairs: list[tuple[Person, Shot]]) -> dict[str, float]:
    seen = [read(picture) for picture in pictures]
    truth = [facts(*pair) for pair in pairs]
    return {key: float(np.mean([s[key] == t[key] for s, t in zip(seen, truth, strict=True)])) for key in seen[0]}


def prompt_control(folder: Path, count: int = 96, seed: int = 50) -> dict[str, dict[str, float]]:
    """Share of colours right: `drawn` by Pocket from full prompts, and `real` renders of the same subjects."""
    pipeline, notes = load(folder)
    pairs, rng = subjects(count), np.random.default_rng(seed)
    prompts = [say(facts(*pair), rng, None, looks=True)[0] for pair in pairs]
    drawn = []
    for start in range(0, count, BATCH):
        drawn += [np.asarray(p) for p in draw(pipeline, notes, prompts[start : start + BATCH], seed + start)]
    real = [np.asarray(render(*pair, 64)) for pair in pairs]
    return {"drawn": _share(drawn, pairs), "real": _share(real, pairs)}
