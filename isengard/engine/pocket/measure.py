"""What Pocket's weights are worth, read by the judges: does it draw what a prompt asks, does a known name call its
face, does the autoencoder keep a picture.

Beside every figure stands what the judges read from real renders of the same people: their mistakes are not Pocket's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline
from PIL import Image
from torch import Tensor

from isengard.engine.pocket import JUDGES, dataset
from isengard.engine.pocket.captions import facts, say
from isengard.engine.pocket.card import Gate
from isengard.engine.pocket.faces import person, render, shot
from isengard.engine.pocket.judges import Judges, centre_of, load_judges
from isengard.engine.pocket.people import Person, Shot
from isengard.engine.pocket.sheet import draw, load
from isengard.engine.pocket.vae import psnr

BATCH = 25
SUBJECTS, SITUATIONS = 960_000, 970_000  # seeds of people and shots that neither Pocket nor the judges have seen
#: these must be drawn right at least RATIO times as often as the reader reads them right on renders
PROMISED = ("skin", "hair_colour", "hair_style", "background", "shirt", "glasses", "hat")
RATIO, DECIBELS = 0.8, 30.0
PER_NAME, CENTRE = 2, 8
Subject = tuple[Person, Shot]
Drawing = tuple[FluxPipeline, dict[str, Any], int]


@dataclass(frozen=True)
class Share:
    """How often one attribute was right: among all prompts, and among the `count` whose value is something."""

    drawn: float
    real: float
    drawn_asked: float
    real_asked: float
    count: int

    @property
    def ratio(self) -> float:
        """Pocket's share over the reader's own."""
        return self.drawn / self.real


def subjects(count: int) -> list[Subject]:
    """People and shots never seen in training, with whatever hats and glasses they wear."""
    return [(person(seed), shot(seed)) for seed in range(SUBJECTS, SUBJECTS + count)]


def _draw_all(drawing: Drawing, prompts: list[str], seed: int) -> list[Image.Image]:
    pipeline, notes, size = drawing
    starts = range(0, len(prompts), BATCH)
    return [p for s in starts for p in draw(pipeline, notes, prompts[s : s + BATCH], seed + s, size)]


def _right(judges: Judges, pictures: list[Image.Image], truth: list[dict[str, str]]) -> dict[str, np.ndarray]:
    seen = judges.read(pictures)
    return {key: np.array([s[key] == t[key] for s, t in zip(seen, truth, strict=True)]) for key in seen[0]}


def prompt_control(drawing: Drawing, judges: Judges, count: int, seed: int = 50) -> dict[str, Share]:
    """Attribute → how often `count` full prompts got it, and how often the reader gets it on renders of the same."""
    pairs, rng = subjects(count), np.random.default_rng(seed)
    truth = [facts(*pair) for pair in pairs]
    drawn = _right(judges, _draw_all(drawing, [say(t, rng, None, looks=True)[0] for t in truth], seed), truth)
    real = _right(judges, [render(*pair, drawing[2]) for pair in pairs], truth)
    shares = {}
    for key in drawn:
        asked = np.array([t[key] != "none" for t in truth])
        shares[key] = Share(
            drawn=float(drawn[key].mean()), real=float(real[key].mean()), count=int(asked.sum()),
            drawn_asked=float(drawn[key][asked].mean()), real_asked=float(real[key][asked].mean()),
        )  # fmt: skip
    return shares


def _situation(index: int) -> Shot:
    return replace(shot(SITUATIONS + index), hat="none", glasses="own")


def name_prompt(name: str, how: Shot) -> str:
    """Who by name alone; how she looks is left to the model."""
    return f"a photo of {name}, {how.expression}, {how.shirt} shirt, {how.background} background"


def _ranks(embeddings: Tensor, centres: Tensor) -> Tensor:
    """(people * PER_NAME, d), (people, d) → how many people lie closer to each picture than its own."""
    cosines = embeddings @ centres.T
    own = torch.arange(len(centres)).repeat_interleave(PER_NAME)
    return (cosines > cosines[torch.arange(len(own)), own][:, None]).sum(1)


def _centre(judges: Judges, who: Person, first: int) -> Tensor:
    return centre_of(judges.embed([render(who, shot(first + i), 64) for i in range(CENTRE)]))


def known_names(drawing: Drawing, judges: Judges, seed: int = 60) -> dict[str, dict[str, float]]:
    """Share of pictures that find their own person first, and among the first five, of all the named people."""
    words = dataset.names()
    people = [person(500 + n) for n in range(len(words))]
    hows = [[_situation(n * 100 + i) for i in range(PER_NAME)] for n in range(len(words))]
    centres = torch.stack([_centre(judges, who, SITUATIONS + n * 100 + 50) for n, who in enumerate(people)])
    prompts = [name_prompt(word, how) for word, row in zip(words, hows, strict=True) for how in row]
    real = [render(who, how, drawing[2]) for who, row in zip(people, hows, strict=True) for how in row]
    found = {"drawn": _ranks(judges.embed(_draw_all(drawing, prompts, seed)), centres),
             "real": _ranks(judges.embed(real), centres)}  # fmt: skip
    return {source: {f"top{k}": float((ranks < k).float().mean()) for k in (1, 5)} for source, ranks in found.items()}


def autoencoder(folder: Path, size: int) -> float:
    """Decibels on held-out renders of `size` pixels."""
    vae = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True, dtype=torch.float32)
    pictures = np.stack([np.asarray(render(person(p.who), shot(p.how), size)) for p in dataset.held_out()])
    return psnr(vae, pictures, torch.device("cpu"))


def _prompt_gates(shares: dict[str, Share], count: int) -> list[Gate]:
    gates = []
    for key, share in shares.items():
        note = f"drawn {share.drawn:.2f}, reader's own {share.real:.2f}"
        if share.count < count:
            note += f"; the {share.count} with something to draw: {share.drawn_asked:.2f}, {share.real_asked:.2f}"
        bound = RATIO if key in PROMISED else None
        gates.append(Gate(f"prompt: {key.replace('_', ' ')}", share.ratio, bound, note=note))
    return gates


def _name_gates(names: dict[str, dict[str, float]]) -> list[Gate]:
    drawn, real = names["drawn"], names["real"]
    places = {"top1": "first", "top5": "in the first five"}
    return [
        Gate(f"known name: own person {place} of {dataset.NAMED}", drawn[key], note=f"real renders {real[key]:.2f}")
        for key, place in places.items()
    ]


def measure(folder: Path, count: int = 200, size: int | None = None, judges_folder: Path = JUDGES) -> list[Gate]:
    """Every gate that needs only the weights; `size` is the side of the drawn pictures, the native one unless told."""
    pipeline, notes = load(folder)
    judges, side = load_judges(judges_folder), size or int(notes["native_size"])
    drawing = (pipeline, notes, side)
    gates = [Gate(f"autoencoder at {s} px, dB", autoencoder(folder, s), DECIBELS) for s in notes["sizes"]]
    gates += _prompt_gates(prompt_control(drawing, judges, count), count)
    return gates + _name_gates(known_names(drawing, judges))
