"""What a model family provides to the trainer and the sampler, hook by hook. Knows no job, no file of ours, no Django.

Shapes: B pictures, C latent channels, h x w latent cells; H x W pixels. Latents are float32, scaled and shifted so that
noise of variance 1 fits them; packing into tokens is the family's own business."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from isengard.engine.families.slot import Weights
from isengard.engine.specs import BaseModel
from isengard.engine.speed import Speed

# What a prompt becomes: named tensors, batch first. Only the family knows the names.
Embeds = dict[str, torch.Tensor]
# What the denoiser is given in one step, by its own names, batch first.
Inputs = dict[str, Any]
# From a step's inputs and its latent grid (h, w) to inputs that are added: a ControlNet's residuals, a reference
# picture's embeddings (guides/). Under true_cfg the batch is twice as long, the half without the prompt first.
Guide = Callable[[Inputs, tuple[int, int]], Inputs]

# embedded: the scale is an input of the model; true_cfg: two predictions, with and without the prompt; none: ignored.
Guidance = Literal["embedded", "true_cfg", "none"]
Timesteps = Literal["sigmoid", "uniform", "shift"]
Quantize = Literal["none", "int8"]
Part = Literal["text", "vae", "transformer"]


class Family(Protocol):
    """One base model. Parts load when first used and are freed by name, so text encoders need not stay for training."""

    base: BaseModel
    device: torch.device
    dtype: torch.dtype
    guidance: Guidance
    # Width and height in pixels must be multiples of this (latent cell x patch).
    multiple: int

    @property
    def transformer(self) -> Any:
        """The denoiser (torch.nn.Module with diffusers' adapter methods), frozen, in eval mode."""

    def fingerprint(self, part: Part) -> str:
        """Changes when the part's weights or configuration change: names what was computed with it on disk."""

    def encode_prompts(self, prompts: list[str]) -> Embeds:
        """On the CPU, batch = prompts. Each prompt is encoded alone, so neighbours change no bit."""

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, C, h, w): the mean of the autoencoder's distribution, float32."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) → (B, 3, H, W) about [-1, 1], float32."""

    def tile(self, on: bool) -> None:
        """Whether `encode_images` and `decode` take large pictures in tiles: a fraction of the memory, soft seams."""

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """(C, h, w) of a picture in pixels. EngineError size_not_possible: not a multiple."""

    def predict(
        self,
        latents: torch.Tensor,
        sigma: torch.Tensor,
        embeds: Embeds,
        guidance: float,
        guides: Sequence[Guide] = (),
    ) -> torch.Tensor:
        """Velocity (noise − latents), float32, like `latents` (B, C, h, w) at noise level sigma (B,) in 0 … 1."""

    def hasten(self, speed: Speed) -> None:
        """From now on the denoiser runs so; what was compiled or kept for another speed is dropped."""

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) → (B, tokens, features): latents as the denoiser reads them."""

    def sigmas(self, steps: int, shape: tuple[int, ...]) -> torch.Tensor:
        """Noise levels for sampling latents (C, h, w): float32 (steps + 1,) from 1 down to 0."""

    def training_sigmas(
        self, shape: tuple[int, ...], generator: torch.Generator, how: Timesteps = "sigmoid"
    ) -> torch.Tensor:
        """Noise levels for training latents (B, C, h, w), drawn on the CPU: float32 (B,) in 0 … 1.

        sigmoid: logit-normal(0, 1); uniform; shift: uniform, then moved as the sampler moves them for this size."""

    def lora_targets(self) -> list[str]:
        """Full names of the linear layers that a LoRA changes: those of the blocks."""

    def prompt_layers(self) -> list[str]:
        """Full names of the linear layers through which the prompt as a whole enters; a LoRA may change them too."""

    def export_key(self, module: str, half: Literal["A", "B"]) -> str:
        """The key under which tools of this family look for one half of a module's LoRA."""

    def lora_weights(self, path: Path) -> Weights:
        """What the file adds to each layer, on the device and in the model's dtype. EngineError as lora_convert's."""

    def load_lora(self, path: Path, name: str) -> None:
        """Adds the file as adapter `name`, in the model's dtype. EngineError lora_unreadable."""

    def make_pipeline(self) -> Any:
        """diffusers' own pipeline around the denoiser and the autoencoder, for its LoRA loader (no text encoders)."""

    def has(self, part: Part) -> bool:
        """Whether it is in memory, or some of it."""

    def move(self, part: Part, device: torch.device) -> None:
        """Takes what is in memory of the denoiser or the autoencoder to another device; nothing is computed there."""

    def free(self, part: Part) -> None:
        """Forgets a part; it loads again when needed, as it was: without LoRAs, exact."""
