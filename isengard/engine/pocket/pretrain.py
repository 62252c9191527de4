"""Pocket's pretraining: flow matching on ready latents under frozen text encoders, on one or several processes.

Knows latents and token ids, no pictures. Everything needed to go on after a stop is one file, build/transformer.pt.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from isengard.engine.pocket.dataset import LARGE, SMALL, WORDINGS, Album
from isengard.engine.pocket.ranks import Ranks
from isengard.engine.pocket.reading import Readers
from isengard.engine.pocket.transformer import loss_of, make_transformer, positions, side_of

RATE = 1.5e-3
EMPTY_CAPTIONS = 0.1
SAVE_SECONDS = 90
REPORT_STEPS = 50


@dataclass(frozen=True)
class Course:
    """What the pretraining is told: where, for how long, in which batches."""

    build: Path
    small: float  # minutes of training on small pictures, over all resumed runs
    finish: float  # minutes on large ones after that
    batch: int  # per process
    empty: tuple[Tensor, Tensor]  # CLIP and T5 ids of the empty caption
    compiled: bool
    publish_minutes: float
    publish: Callable[[Path], None]


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Attention and MLP matrices of the blocks (for Muon), everything else (for AdamW)."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, p in model.named_parameters():
        inner = "blocks" in name and p.ndim == 2 and "norm" not in name
        (matrices if inner else rest).append(p)
    return matrices, rest


@dataclass
class Run:
    """Everything that a stopped pretraining needs to go on."""

    model: FluxTransformer2DModel
    average: dict[str, Tensor]
    optimizers: list[torch.optim.Optimizer]
    step: int = 0
    pictures: int = 0
    seconds: float = 0.0

    @classmethod
    def fresh(cls, device: torch.device) -> Run:
        torch.manual_seed(1)
        model = make_transformer().to(device)
        matrices, rest = split_parameters(model)
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=RATE, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        return cls(model, {k: v.clone() for k, v in model.state_dict().items()}, optimizers)

    def state(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "average": self.average, "step": self.step, "pictures": self.pictures,
                "seconds": self.seconds, "optimizers": [o.state_dict() for o in self.optimizers]}  # fmt: skip

    def load(self, path: Path) -> None:
        stored = torch.load(path, map_location=next(self.model.parameters()).device)
        self.model.load_state_dict(stored["model"])
        self.average = stored["average"]
        for optimizer, state in zip(self.optimizers, stored["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.pictures, self.seconds = stored["step"], stored["pictures"], stored["seconds"]

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        torch.save(self.state(), part)
        part.rename(path)

    @torch.no_grad()
    def update_average(self) -> None:
        keep = min(0.998, (1 + self.step) / (10 + self.step))
        for key, value in self.model.state_dict().items():
            self.average[key].lerp_(value, 1 - keep)


class Batches:
    """Random (latents, CLIP ids, T5 ids): half strangers, half named people; one caption in ten is empty."""

    def __init__(self, course: Course, album: Album, seed: int) -> None:
        self.latents = np.load(course.build / f"latents{album.suffix}.npy", mmap_mode="r")
        stored = np.load(course.build / f"tokens{album.suffix}.npz")
        self.clip, self.t5 = stored["clip"], stored["t5"]
        self.course, self.album, self.rng = course, album, np.random.default_rng(seed)

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        rng, half, strangers = self.rng, count // 2, self.album.strangers
        named = rng.integers(strangers, len(self.latents), count - half)
        rows = np.concatenate([rng.integers(0, strangers, half), named])
        said = rows * WORDINGS + rng.integers(0, WORDINGS, count)
        clip = torch.from_numpy(self.clip[said].astype(np.int64))
        t5 = torch.from_numpy(self.t5[said].astype(np.int64))
        silent = torch.from_numpy(rng.random(count) < EMPTY_CAPTIONS)
        clip[silent], t5[silent] = self.course.empty
        return torch.from_numpy(self.latents[rows]).to(device).float(), clip.to(device), t5.to(device)


def rate_at(step: int, share: float) -> float:
    """Multiplier of the learning rate: short warm-up, constant, then straight down over the last 30 % of the time."""
    return min(1.0, (step + 1) / 100, max(0.01, (1 - share) / 0.3))


class Trainer:
    """One rank's share of the pretraining."""

    def __init__(self, ranks: Ranks, course: Course, readers: Readers) -> None:
        self.ranks, self.course, self.run = ranks, course, Run.fresh(ranks.device)
        if self.path.exists():
            self.run.load(self.path)
        self.readers = readers.to(ranks.device).requires_grad_(False).eval()
        self.albums = [Batches(course, album, seed=1000 * self.run.step + ranks.rank) for album in (SMALL, LARGE)]
        torch.manual_seed(1000 * self.run.step + 17 + ranks.rank)
        self.places = [positions(ranks.device, side_of(album.size)) for album in (SMALL, LARGE)]
        if course.compiled:
            self.run.model.compile()
        self.mean = 0.0

    @property
    def path(self) -> Path:
        return self.course.build / "transformer.pt"

    def album(self, share: float) -> int:
        """Which album this step learns from, the same on every rank: small, later three large in four."""
        course = self.course
        finishing = share * (course.small + course.finish) >= course.small
        return int(finishing and self.run.step % 4 > 0)

    def step(self, share: float) -> None:
        """One optimizer step over all ranks; `share` of the time is gone."""
        run, parameters = self.run, list(self.run.model.parameters())
        which = self.album(share)
        latents, clip, t5 = self.albums[which].draw(self.course.batch, self.ranks.device)
        with torch.autocast(self.ranks.device.type, torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            with torch.no_grad():
                pooled, tokens = self.readers.encode(clip, t5)
            loss = loss_of(run.model, latents, pooled, tokens, self.places[which])
        torch.autograd.backward(loss)
        self.ranks.average(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in run.optimizers:
            optimizer.param_groups[0]["lr"] = RATE * rate_at(run.step, share)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        run.step, run.pictures = run.step + 1, run.pictures + len(latents) * self.ranks.count
        run.update_average()
        self.mean = loss.item() if self.mean == 0 else 0.98 * self.mean + 0.02 * loss.item()

    def report(self) -> None:
        run = self.run
        figures = f"step {run.step} pictures {run.pictures} minutes {run.seconds / 60:.1f} loss {self.mean:.4f}"
        print(f"transformer {figures}", flush=True)


def pretrain(ranks: Ranks, course: Course, readers: Readers) -> None:
    """Train until the course's minutes are spent, first on small pictures, then mostly on large ones.

    Rank 0 writes build/transformer.pt and publishes now and then."""
    trainer = Trainer(ranks, course, readers)
    run = trainer.run
    before, started = run.seconds, time.monotonic()
    saved = published = started
    whole = 60 * (course.small + course.finish)
    share = run.seconds / whole
    while share < 1.0:
        trainer.step(share)
        now = time.monotonic()
        run.seconds = before + now - started
        share = ranks.agree(run.seconds / whole)
        if ranks.first and run.step % REPORT_STEPS == 0:
            trainer.report()
        if ranks.first and (now - saved > SAVE_SECONDS or share >= 1):
            saved = now
            run.save(trainer.path)
        if ranks.first and (now - published > 60 * course.publish_minutes or share >= 1):
            published = now
            course.publish(course.build)
