"""Pocket's AutoencoderKL: stride 4, 16 channels. Its encoder computes patch PCA exactly; only its decoder is trained.

So latents are fixed before the first training step and the transformer never has to wait for the autoencoder.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from isengard.engine.pocket.ranks import Ranks

CHANNELS = 16
PATCH = 4
SCALING, SHIFT = 0.5, 0.1  # what FluxPipeline undoes: normal = (latent - SHIFT) * SCALING
LOGVAR = -6.0
FORGIVEN = 0.12  # greatest std of the noise that the decoder learns to see through
RATE = 2e-3
SAVE_SECONDS = 45
EVENING = (
    0.6  # 1 would give every component unit variance and drown faces in their own noise, 0 leaves only flat colour
)


def make_vae() -> AutoencoderKL:
    """The untrained autoencoder; every residual branch starts silent."""
    vae = AutoencoderKL(
        block_out_channels=(16, 32, 64), layers_per_block=1, latent_channels=CHANNELS, norm_num_groups=8,
        sample_size=64, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        use_quant_conv=False, use_post_quant_conv=False, scaling_factor=SCALING, shift_factor=SHIFT,
    )  # fmt: skip
    for name, module in vae.named_modules():
        if name.endswith(("conv2", "to_out.0")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return vae


def fit_components(pictures: np.ndarray) -> tuple[Tensor, Tensor]:
    """Analysis matrix (16, 48) and centre (48,) of 4x4 patches: PCA, each row divided by its own std ** EVENING."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).float() / 127.5 - 1
    n, size = x.shape[0], x.shape[1]
    patches = x.view(n, size // PATCH, PATCH, size // PATCH, PATCH, 3).permute(0, 1, 3, 5, 2, 4).reshape(-1, 48)
    centre = patches.mean(0)
    values, vectors = torch.linalg.eigh((patches - centre).T @ (patches - centre) / len(patches))
    std = values.flip(0)[:CHANNELS].sqrt()
    scale = std**-EVENING
    scale = scale / (std * scale).square().mean().sqrt()
    return vectors.flip(1)[:, :CHANNELS].T * scale[:, None], centre


def _silence(conv: nn.Conv2d) -> None:
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


@torch.no_grad()
def set_encoder(vae: AutoencoderKL, analysis: Tensor, centre: Tensor) -> None:
    """Write the analysis into the encoder's convolutions.

    conv_in copies RGB; the first downsampler moves each 2x2 block into channels; the second applies the matrix and its
    negative. The last norm is made harmless by a pair of large opposite constants in each group (its mean is 0, its std
    constant), the activation by silu(x) - silu(-x) = x.
    """
    encoder = vae.encoder
    _silence(encoder.conv_in)
    for c in range(3):
        encoder.conv_in.weight[c, c, 1, 1] = 1
    first = encoder.down_blocks[0].downsamplers[0].conv
    _silence(first)
    for c, a, b in np.ndindex(3, 2, 2):
        first.weight[c * 4 + a * 2 + b, c, a, b] = 1
    widen = encoder.down_blocks[1].resnets[0].conv_shortcut
    _silence(widen)
    for c in range(12):
        widen.weight[c, c, 0, 0] = 1
    matrix = analysis / SCALING
    second = encoder.down_blocks[1].downsamplers[0].conv
    _silence(second)
    cube = matrix.view(CHANNELS, 3, 2, 2, 2, 2)  # component, colour, outer row, inner row, outer column, inner column
    taps = cube.permute(0, 1, 3, 5, 2, 4).reshape(CHANNELS, 12, 2, 2)
    offset = SHIFT - matrix @ centre
    second.weight[:CHANNELS, :12, :2, :2], second.weight[CHANNELS:, :12, :2, :2] = taps, -taps
    second.bias.copy_(torch.cat([offset, -offset]))
    _open_end(encoder)


def _open_end(encoder: Any, constant: float = 64.0) -> None:
    spread = encoder.down_blocks[2].resnets[0].conv_shortcut
    _silence(spread)
    _silence(encoder.conv_out)
    for i in range(CHANNELS):
        at = 8 * (i // 2) + 2 * (i % 2)
        spread.weight[at, i, 0, 0], spread.weight[at + 1, CHANNELS + i, 0, 0] = 1, 1
        spread.bias[at - 2 * (i % 2) + 4], spread.bias[at - 2 * (i % 2) + 5] = constant, -constant
        encoder.conv_out.weight[i, at, 1, 1], encoder.conv_out.weight[i, at + 1, 1, 1] = 1, -1
    nn.init.constant_(encoder.conv_norm_out.weight, constant / 2)
    nn.init.zeros_(encoder.conv_norm_out.bias)
    nn.init.constant_(encoder.conv_out.bias[CHANNELS:], LOGVAR)


def to_pixels(pictures: np.ndarray, device: torch.device) -> Tensor:
    """(n, h, w, 3) uint8 → (n, 3, h, w) in -1..1."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def psnr(vae: AutoencoderKL, pictures: np.ndarray, device: torch.device) -> float:
    """Decibels between pictures and their reconstructions, over all pixels together, clipped as a viewer sees them."""
    error = []
    for start in range(0, len(pictures), 32):
        x = to_pixels(pictures[start : start + 32], device)
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        error.append(((x - y) / 2).square().mean().item())
    return -10 * math.log10(float(np.mean(error)))


def decoder_rate(step: int, share: float) -> float:
    """Multiplier of the learning rate: warm-up, constant for 40 % of the time, then a cosine to 1 %."""
    return min(1.0, (step + 1) / 50, 0.01 + math.cos(math.pi / 2 * max(0.0, (share - 0.4) / 0.6)) ** 2)


class DecoderTrainer:
    """One rank's share of the decoder's training."""

    def __init__(self, ranks: Ranks, build: Path, batch: int) -> None:
        torch.manual_seed(3)
        self.ranks, self.path, self.batch, self.steps, self.loss = ranks, build / "vae.pt", batch, 0, 0.0
        self.pictures, self.held = np.load(build / "pictures.npy", mmap_mode="r"), np.load(build / "held-out.npy")
        self.vae = make_vae()
        self.vae.load_state_dict(torch.load(self.path))
        self.vae.to(ranks.device).encoder.requires_grad_(False)
        self.decoder = self.vae.decoder.to(memory_format=torch.channels_last)
        self.average = {key: value.clone() for key, value in self.decoder.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.decoder.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
        self.rng = np.random.default_rng(30 + ranks.rank)

    def latents(self, x: Tensor) -> Tensor:
        """Sampled latents and a little more noise: the decoder must forgive what a generator gets slightly wrong."""
        with torch.no_grad():
            latent: Tensor = self.vae.encode(x).latent_dist.sample()
        return latent + torch.randn_like(latent) * torch.rand(len(x), 1, 1, 1, device=x.device) * FORGIVEN

    def step(self, share: float) -> None:
        rows = np.sort(self.rng.integers(0, len(self.pictures), self.batch))
        x = to_pixels(self.pictures[rows], self.ranks.device)
        with torch.autocast(self.ranks.device.type, torch.bfloat16):
            y = self.decoder(self.latents(x).contiguous(memory_format=torch.channels_last)).float()
        loss = nn.functional.mse_loss(y, x) + 0.2 * nn.functional.l1_loss(y, x)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.ranks.average(self.decoder.parameters())
        nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self.optimizer.param_groups[0]["lr"] = RATE * decoder_rate(self.steps, share)
        self.optimizer.step()
        self.steps, self.loss = self.steps + 1, loss.item()
        for key, value in self.decoder.state_dict().items():
            self.average[key].lerp_(value.detach(), 1 - min(0.995, self.steps / (10 + self.steps)))

    def save(self) -> None:
        """Write the autoencoder with the averaged decoder, and print how well it does on held-out pictures."""
        kept = {key: value.clone() for key, value in self.decoder.state_dict().items()}
        self.decoder.load_state_dict(self.average)
        quality = f"loss {self.loss:.4f} held-out {psnr(self.vae, self.held, self.ranks.device):.2f} dB"
        print(f"vae step {self.steps} pictures {self.steps * self.batch * self.ranks.count} {quality}", flush=True)
        torch.save(self.vae.state_dict(), self.path.with_suffix(".part"))
        self.path.with_suffix(".part").rename(self.path)
        self.decoder.load_state_dict(kept)


def learn_to_draw(ranks: Ranks, build: Path, minutes: float, batch: int = 8) -> None:
    """Train the decoder for `minutes` on build/pictures.npy, going on from build/vae.pt, and write it there."""
    trainer = DecoderTrainer(ranks, build, batch)
    started = saved = time.monotonic()
    share = 0.0
    while share < 1.0:
        trainer.step(share)
        now = time.monotonic()
        share = ranks.agree((now - started) / (60 * minutes))
        if ranks.first and (now - saved > SAVE_SECONDS or share >= 1):
            saved = now
            trainer.save()
