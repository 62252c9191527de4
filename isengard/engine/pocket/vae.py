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
    return torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def psnr(vae: AutoencoderKL, pictures: np.ndarray, device: torch.device) -> float:
    """Decibels between pictures and their reconstructions, over all pixels together, clipped as a viewer sees them."""
    error = []
    for start in range(0, len(pictures), 32):
        x = to_pixels(pictures[start : start + 32], device)
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        error.append(((x - y) / 2).square().mean().item())
    return -10 * math.log10(float(np.mean(error)))


def learn_to_draw(ranks: Ranks, build: Path, minutes: float, batch: int = 8) -> None:
    """Train the decoder for `minutes` on build/pictures.npy, going on from build/vae.pt if it is there."""
    torch.manual_seed(3)
    pictures, held = np.load(build / "pictures.npy", mmap_mode="r"), np.load(build / "held-out.npy")
    vae = make_vae()
    vae.load_state_dict(torch.load(build / "vae.pt"))
    vae.to(ranks.device)
    vae.encoder.requires_grad_(False)
    decoder = vae.decoder.to(memory_format=torch.channels_last)
    average = {key: value.clone() for key, value in decoder.state_dict().items()}
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=0.0)
    rng = np.random.default_rng(30 + ranks.rank)
    started, step, share, reported = time.monotonic(), 0, 0.0, time.monotonic()
    while share < 1.0:
        share = ranks.agree((time.monotonic() - started) / (60 * minutes))
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(
                1.0, (step + 1) / 50, 0.01 + math.cos(math.pi / 2 * max(0.0, (share - 0.4) / 0.6)) ** 2
            )
        x = to_pixels(pictures[np.sort(rng.integers(0, len(pictures), batch))], ranks.device)
        with torch.no_grad():
            latent = vae.encode(x).latent_dist.sample()
            latent = latent + torch.randn_like(latent) * torch.rand(batch, 1, 1, 1, device=ranks.device) * 0.12
        with torch.autocast(ranks.device.type, torch.bfloat16):
            y = decoder(latent.contiguous(memory_format=torch.channels_last)).float()
        loss = nn.functional.mse_loss(y, x) + 0.2 * nn.functional.l1_loss(y, x)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        ranks.average(decoder.parameters())
        nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        for key, value in decoder.state_dict().items():
            average[key].lerp_(value.detach(), 1 - min(0.995, step / (10 + step)))
        step += 1
        if ranks.first and (time.monotonic() - reported > 45 or share >= 1):
            reported = time.monotonic()
            kept = {k: v.clone() for k, v in decoder.state_dict().items()}
            decoder.load_state_dict(average)
            quality = f"held-out {psnr(vae, held, ranks.device):.2f} dB"
            print(f"vae step {step} pictures {step * batch * ranks.count} loss {loss:.4f} {quality}", flush=True)
            torch.save(vae.state_dict(), build / "vae.pt.part")
            (build / "vae.pt.part").rename(build / "vae.pt")
            decoder.load_state_dict(kept)
