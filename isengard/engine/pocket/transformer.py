"""Pocket's FLUX transformer and its pretraining: flow matching on ready latents under frozen text encoders.

Knows latents and token ids, no pictures. Everything needed to go on after a stop is one file, build/transformer.pt.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from isengard.engine.pocket.ranks import Ranks
from isengard.engine.pocket.reading import WIDTH, Readers
from isengard.engine.pocket.tokens import TEXT_LENGTH
from isengard.engine.pocket.vae import CHANNELS

SIDE = 8  # packed latents per picture side at 64 px
RATE = 1.5e-3
EMPTY_CAPTIONS = 0.1
MEAN_SIGMA, SPREAD_SIGMA = 0.2, 1.15  # logit-normal; a little towards noise, where colour and layout are decided


def make_transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        patch_size=1, in_channels=4 * CHANNELS, num_layers=2, num_single_layers=3, attention_head_dim=64,
        num_attention_heads=3, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH,
        guidance_embeds=True, axes_dims_rope=(16, 24, 24),
    )  # fmt: skip


def pack(latents: Tensor) -> Tensor:
    """(B, 16, h, w) → (B, h/2 * w/2, 64), FLUX's 2x2 packing."""
    b, c, h, w = latents.shape
    return latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w // 4, 4 * c)


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
        keep = min(0.999, (1 + self.step) / (10 + self.step))
        for key, value in self.model.state_dict().items():
            self.average[key].lerp_(value, 1 - keep)


class Batches:
    """Random (latents, CLIP ids, T5 ids): half strangers, half named people; one caption in ten is empty."""

    def __init__(self, build: Path, empty: tuple[Tensor, Tensor], strangers: int, wordings: int, seed: int) -> None:
        self.latents = np.load(build / "latents.npy", mmap_mode="r")
        stored = np.load(build / "tokens.npz")
        self.clip, self.t5 = stored["clip"], stored["t5"]
        self.empty, self.strangers, self.wordings = empty, strangers, wordings
        self.rng = np.random.default_rng(seed)

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        rng, half = self.rng, count // 2
        rows = np.concatenate(
            [rng.integers(0, self.strangers, half), rng.integers(self.strangers, len(self.latents), count - half)]
        )
        said = rows * self.wordings + rng.integers(0, self.wordings, count)
        clip = torch.from_numpy(self.clip[said].astype(np.int64))
        t5 = torch.from_numpy(self.t5[said].astype(np.int64))
        silent = torch.from_numpy(rng.random(count) < EMPTY_CAPTIONS)
        clip[silent], t5[silent] = self.empty
        return torch.from_numpy(self.latents[rows]).to(device).float(), clip.to(device), t5.to(device)


def positions(device: torch.device) -> tuple[Tensor, Tensor]:
    """Picture and text position ids, as FluxPipeline gives them."""
    picture = FluxPipeline._prepare_latent_image_ids(1, SIDE, SIDE, device, torch.float32)
    return picture, torch.zeros(TEXT_LENGTH, 3, device=device)


def loss_of(model: nn.Module, latents: Tensor, pooled: Tensor, tokens: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared error of the velocity (noise - latents); guidance is random, so the model learns to ignore it."""
    sigma = torch.sigmoid(MEAN_SIGMA + SPREAD_SIGMA * torch.randn(len(latents), device=latents.device))
    noise, s = torch.randn_like(latents), sigma[:, None, None]
    velocity = model(
        hidden_states=(1 - s) * latents + s * noise, encoder_hidden_states=tokens, pooled_projections=pooled,
        timestep=sigma, guidance=1 + 4 * torch.rand_like(sigma), img_ids=places[0], txt_ids=places[1],
        return_dict=False,
    )[0]  # fmt: skip
    return nn.functional.mse_loss(velocity.float(), noise - latents)


def rate_at(step: int, share: float) -> float:
    """Multiplier of the learning rate: short warm-up, constant, then straight down over the last 30 % of the time."""
    return min(1.0, (step + 1) / 100, max(0.01, (1 - share) / 0.3))


def pretrain(
    ranks: Ranks, build: Path, readers: Readers, empty: tuple[Tensor, Tensor], shape: tuple[int, int], minutes: float,
    batch: int, compiled: bool, publish_minutes: float,
) -> None:  # fmt: skip
    """Train until `minutes` of training time are spent, over all resumed runs; writes build/transformer.pt.

    `shape` is (strangers, wordings). Every `publish_minutes` rank 0 starts a publication (see `publish`).
    """
    from isengard.engine.pocket.folder import publish

    run, path = Run.fresh(ranks.device), build / "transformer.pt"
    if path.exists():
        run.load(path)
    readers.to(ranks.device).requires_grad_(False).eval()
    batches = Batches(build, empty, *shape, seed=1000 * run.step + ranks.rank)
    torch.manual_seed(1000 * run.step + 17 + ranks.rank)
    places = positions(ranks.device)
    model: nn.Module = run.model
    if compiled:
        model.compile()
    before, started, saved, published = run.seconds, time.monotonic(), time.monotonic(), time.monotonic()
    mean, share = 0.0, run.seconds / (60 * minutes)
    while share < 1.0:
        for optimizer in run.optimizers:
            optimizer.param_groups[0]["lr"] = RATE * rate_at(run.step, share)
        latents, clip, t5 = batches.draw(batch, ranks.device)
        with torch.autocast(ranks.device.type, torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            with torch.no_grad():
                pooled, tokens = readers.encode(clip, t5)
            loss = loss_of(model, latents, pooled, tokens, places)
        torch.autograd.backward(loss)
        ranks.average(run.model.parameters())
        nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        for optimizer in run.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        run.step, run.pictures = run.step + 1, run.pictures + batch * ranks.count
        run.update_average()
        run.seconds = before + time.monotonic() - started
        share = ranks.agree(run.seconds / (60 * minutes))
        mean = loss.item() if mean == 0 else 0.98 * mean + 0.02 * loss.item()
        if not ranks.first:
            continue
        if run.step % 50 == 0:
            print(
                f"transformer step {run.step} pictures {run.pictures} minutes {run.seconds / 60:.1f} loss {mean:.4f}",
                flush=True,
            )
        if time.monotonic() - saved > 90 or share >= 1:
            saved = time.monotonic()
            run.save(path)
        if time.monotonic() - published > 60 * publish_minutes or share >= 1:
            published = time.monotonic()
            publish(build)
