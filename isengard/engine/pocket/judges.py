"""Two small networks that look at Pocket's portraits: the reader names what is in a picture, the embedder who is in it.

Pictures in, words or vectors out; knows nothing of prompts, of Pocket's own networks or of how the judges were trained
(judge_training.py).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from isengard.engine.pocket import JUDGES
from isengard.engine.pocket.people import (
    BACKGROUNDS,
    BEARDS,
    EXPRESSIONS,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    HATS,
    SHIRTS,
    SKINS,
)  # fmt: skip

SIDE = 64  # pixels; every picture is brought to this size first
BATCH = 256
#: what the reader reads, each with its possible values in the order of its outputs; words as in captions.facts
READS: dict[str, tuple[str, ...]] = {
    "sex": ("woman", "man"), "skin": tuple(SKINS), "hair_style": HAIR_STYLES, "hair_colour": (*HAIR_COLOURS, "none"),
    "beard": BEARDS, "background": tuple(BACKGROUNDS), "shirt": tuple(SHIRTS), "glasses": GLASSES, "hat": HATS,
    "expression": EXPRESSIONS,
}  # fmt: skip
Pictures = Sequence[Image.Image] | np.ndarray


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., 2015)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(*_convolution(width, width, 1), *_convolution(width, width, 1)[:2])

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.inner(x))


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _trunk(widths: tuple[int, ...]) -> nn.Sequential:
    """(B, 3, 64, 64) → (B, widths[-1], 4, 4): each width halves the picture, all but the first then look around once;
    at 32 x 32 that would cost as much as all the rest."""
    layers = _convolution(3, widths[0], 2)
    for before, width in itertools.pairwise(widths):
        layers += [*_convolution(before, width, 2), Residual(width)]
    return nn.Sequential(*layers)


class Reader(nn.Module):
    """(B, 3, 64, 64) in -1..1 → one row of scores per attribute of READS."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _trunk((24, 48, 72, 96))
        self.head = nn.Linear(16 * 96, sum(len(values) for values in READS.values()))

    def forward(self, x: Tensor) -> list[Tensor]:
        scores = self.head(self.trunk(x).flatten(1))
        return list(scores.split([len(values) for values in READS.values()], dim=1))


class Embedder(nn.Module):
    """(B, 3, 64, 64) in -1..1 → (B, 128), not yet normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _trunk((32, 64, 96, 144))
        self.narrow = nn.Conv2d(144, 48, 1)  # keeps the places, which a mean over them would lose
        self.head = nn.Linear(16 * 48, 128)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.relu(self.narrow(self.trunk(x))).flatten(1))
        return out


def _fit(picture: Image.Image) -> np.ndarray:
    if picture.size != (SIDE, SIDE):
        method = Image.Resampling.BOX if min(picture.size) > SIDE else Image.Resampling.BICUBIC
        picture = picture.resize((SIDE, SIDE), method)
    return np.asarray(picture.convert("RGB"))


def to_batch(pictures: Pictures) -> Tensor:
    """PIL pictures of any size, or uint8 (n, h, w, 3) → (n, 3, 64, 64) in -1..1; larger ones shrink by area means."""
    if not isinstance(pictures, np.ndarray) or pictures.shape[1:] != (SIDE, SIDE, 3):
        pictures = np.stack([_fit(p if isinstance(p, Image.Image) else Image.fromarray(p)) for p in pictures])
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _batches(pictures: Pictures) -> Iterator[Tensor]:
    rows = to_batch(pictures)
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


@dataclass(frozen=True)
class Judges:
    """Both networks, ready to look, and what they were measured to be worth (judge_training.examine)."""

    reader: Reader
    embedder: Embedder
    figures: dict[str, Any]

    @property
    def threshold(self) -> float:
        """Cosine between a picture and a person's centre (the mean of 8 embeddings, normalised) above which it is more
        likely the same person: where misses and false alarms were equally frequent on held-out people."""
        return float(self.figures["identity"]["centre_threshold"])

    @torch.inference_mode()
    def read(self, pictures: Pictures) -> list[dict[str, str]]:
        """Attribute of READS → its most likely value, one dictionary per picture."""
        rows = [torch.stack([s.argmax(1) for s in self.reader(batch)], dim=1) for batch in _batches(pictures)]
        return [
            {key: values[i] for (key, values), i in zip(READS.items(), row, strict=True)}
            for row in torch.cat(rows).tolist()
        ]

    @torch.inference_mode()
    def embed(self, pictures: Pictures) -> Tensor:
        """(n, 128), each row of length 1: the cosine of two rows says how alike the faces are, whatever hat,
        sunglasses, clothes or background the pictures show."""
        rows = [self.embedder(batch) for batch in _batches(pictures)]
        return nn.functional.normalize(torch.cat(rows), dim=1)


def centre_of(embeddings: Tensor) -> Tensor:
    """(n, 128) pictures of one person → (128,), what stands for that person."""
    return nn.functional.normalize(embeddings.mean(0), dim=0)


def load_judges(folder: Path = JUDGES) -> Judges:
    """The networks in float32 on the CPU. Errors: FileNotFoundError where the folder lacks a file."""
    reader, embedder = Reader(), Embedder()
    for name, network in {"reader": reader, "embedder": embedder}.items():
        weights = load_file(folder / f"{name}.safetensors")
        network.load_state_dict({key: value.float() for key, value in weights.items()})
        network.eval()
    return Judges(reader, embedder, json.loads((folder / "figures.json").read_text()))
