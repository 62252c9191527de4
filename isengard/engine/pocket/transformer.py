"""Pocket's FLUX transformer: its shape, the packing of latents and the flow-matching loss.

Knows latents and text features; no pictures, no files, no optimizer.
"""

from __future__ import annotations

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn

from isengard.engine.pocket.reading import WIDTH
from isengard.engine.pocket.tokens import TEXT_LENGTH
from isengard.engine.pocket.vae import CHANNELS

STRIDE = 8  # pixels per packed latent: the autoencoder's 4, twice
# Logit-normal sigma, a little towards noise, where colour and layout are decided; larger pictures need more of it, by
# as much as the scheduler shifts theirs (folder.py: 0.5 at 64 tokens to 1.15 at 256).
MEAN_SIGMA, SPREAD_SIGMA = 0.2, 1.15
SHIFT_PER_TOKEN = (1.15 - 0.5) / (256 - 64)


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


def side_of(size: int) -> int:
    """Packed latents per side of a picture of `size` pixels."""
    return size // STRIDE


def positions(device: torch.device, side: int) -> tuple[Tensor, Tensor]:
    """Picture (side², 3) and text (TEXT_LENGTH, 3) position ids, as FluxPipeline gives them."""
    picture = FluxPipeline._prepare_latent_image_ids(1, side, side, device, torch.float32)
    return picture, torch.zeros(TEXT_LENGTH, 3, device=device)


def loss_of(model: nn.Module, latents: Tensor, pooled: Tensor, tokens: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared error of the velocity (noise - latents); guidance is random, so the model learns to ignore it."""
    mean = MEAN_SIGMA + SHIFT_PER_TOKEN * (latents.shape[1] - 64)
    sigma = torch.sigmoid(mean + SPREAD_SIGMA * torch.randn(len(latents), device=latents.device))
    noise, s = torch.randn_like(latents), sigma[:, None, None]
    velocity = model(
        hidden_states=(1 - s) * latents + s * noise, encoder_hidden_states=tokens, pooled_projections=pooled,
        timestep=sigma, guidance=1 + 4 * torch.rand_like(sigma), img_ids=places[0], txt_ids=places[1],
        return_dict=False,
    )[0]  # fmt: skip
    return nn.functional.mse_loss(velocity.float(), noise - latents)
