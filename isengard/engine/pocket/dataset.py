"""The pictures and captions Pocket learns from, rendered once into plain arrays.

Most show people met once, the others NAMED people met again and again, each with a four-letter nonsense name, so that
the model learns that a rare word can mean a face; training draws as many of these as of those. Knows no torch.
"""

from __future__ import annotations

import json
import string
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isengard.engine.pocket.captions import ATTRIBUTES, IDENTITY, facts, say
from isengard.engine.pocket.faces import person, render, shot

NAMED = 80
HELD_OUT = 256
WORDINGS = 4
CHUNK = 1000
#: never used as a name in training: they are what people type as a trigger
TRIGGERS = ("ohwx", "mira", "sksx", "zwxm", "tokx", "ohwq")


@dataclass(frozen=True)
class Portrait:
    """One training picture: which person and which shot; `name` is the index of a named person or -1."""

    who: int
    how: int
    name: int


@dataclass(frozen=True)
class Album:
    """One set of training pictures: `strangers` people met once, then NAMED people `per_name` times each.

    `size` is the side in pixels; `first` is added to the seeds, so that two albums share names but no picture.
    `suffix` ends the names of its files in the build directory."""

    size: int
    strangers: int
    per_name: int
    first: int
    suffix: str

    def portraits(self) -> list[Portrait]:
        """Every picture in training order: strangers first, then the named."""
        met = [Portrait(10_000 + self.first + i, 100_000 + self.first + i, -1) for i in range(self.strangers)]
        shots = 200_000 + self.first
        named = ((n, shots + n * self.per_name + i) for n in range(NAMED) for i in range(self.per_name))
        return met + [Portrait(500 + n, how, n) for n, how in named]


#: what is learned first, and what finishes it
SMALL = Album(size=64, strangers=30_000, per_name=200, first=0, suffix="")
LARGE = Album(size=96, strangers=12_000, per_name=100, first=40_000, suffix="-96")


def names() -> list[str]:
    """NAMED distinct four-letter nonsense words, none of them a usual trigger."""
    rng = np.random.default_rng(41)
    found: list[str] = []
    while len(found) < NAMED:
        word = "".join(rng.choice(list(string.ascii_lowercase), 4))
        if word not in found and word not in TRIGGERS:
            found.append(word)
    return found


def held_out() -> list[Portrait]:
    """Pictures of people and shots that training never sees."""
    return [Portrait(900_000 + i, 900_000 + i, -1) for i in range(HELD_OUT)]


def _render_chunk(job: tuple[list[Portrait], int]) -> np.ndarray:
    chunk, size = job
    return np.stack([np.asarray(render(person(p.who), shot(p.how), size)) for p in chunk])


def render_all(path: Path, wanted: list[Portrait], size: int, workers: int = 2) -> np.ndarray:
    """(n, size, size, 3) uint8, memory-mapped from `path`; rendered on first use."""
    if not path.exists():
        temporary = path.with_suffix(".part.npy")
        out = np.lib.format.open_memmap(temporary, "w+", np.uint8, (len(wanted), size, size, 3))
        chunks = [(wanted[i : i + CHUNK], size) for i in range(0, len(wanted), CHUNK)]
        with ProcessPoolExecutor(workers) as pool:
            for index, pictures in enumerate(pool.map(_render_chunk, chunks)):
                out[index * CHUNK : index * CHUNK + len(pictures)] = pictures
        out.flush()
        temporary.rename(path)
    stored: np.ndarray = np.load(path, mmap_mode="r")
    return stored


def _wording(p: Portrait, rng: np.random.Generator, known: list[str]) -> tuple[str, list[int]]:
    """One training caption and its reading targets: per attribute 0 (not told) or 1 + its index, then the name."""
    fact = facts(person(p.who), shot(p.how))
    if p.name >= 0 and rng.random() < 0.9:
        name: str | None = known[p.name]
        looks = bool(rng.random() < 0.3)
    else:
        name = "".join(rng.choice(list(string.ascii_lowercase), 4)) if p.name < 0 and rng.random() < 0.1 else None
        looks = bool(rng.random() < 0.9)
    name = None if name in TRIGGERS else name
    text, told = say(fact, rng, name, looks, drop=float(rng.choice((0.0, 0.12, 0.5), p=(0.5, 0.35, 0.15))), vary=0.06)
    if name is not None and p.name >= 0:
        told = told.union(IDENTITY)
    targets = [
        1 + values.index(fact[key]) if key in told and fact[key] in values else 0 for key, values in ATTRIBUTES.items()
    ]
    return text, targets + _name_targets(name, p.name)


def _name_targets(name: str | None, index: int) -> list[int]:
    if name is None:
        return [0, 0, 0]
    pairs = [1 + 26 * (ord(name[at]) - 97) + ord(name[at + 1]) - 97 for at in (0, 2)]
    return [*pairs, index + 1]


def target_sizes() -> list[int]:
    """Classes of each reading target, in the order of the targets: attributes, two letter pairs, known name."""
    return [1 + len(values) for values in ATTRIBUTES.values()] + [677, 677, NAMED + 1]


def _word_chunk(job: tuple[int, list[Portrait]]) -> list[list[tuple[str, list[int]]]]:
    seed, chunk = job
    rng, known = np.random.default_rng([53, seed]), names()
    return [[_wording(p, rng, known) for _ in range(WORDINGS)] for p in chunk]


def captions(path: Path, album: Album, workers: int = 2) -> tuple[list[str], np.ndarray]:
    """WORDINGS captions per picture, flat (picture i owns i*WORDINGS ..), and reading targets (n, targets) int16."""
    if not path.exists():
        wanted = album.portraits()
        jobs = [(album.first + i, wanted[i : i + CHUNK]) for i in range(0, len(wanted), CHUNK)]
        with ProcessPoolExecutor(workers) as pool:
            pairs = [pair for chunk in pool.map(_word_chunk, jobs) for picture in chunk for pair in picture]
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps({"captions": [t for t, _ in pairs], "targets": [t for _, t in pairs]}))
        temporary.rename(path)
    stored = json.loads(path.read_text())
    return stored["captions"], np.asarray(stored["targets"], dtype=np.int16)
