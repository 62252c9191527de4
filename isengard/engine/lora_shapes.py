"""The layers of a FLUX.1 transformer with their sizes, from its configuration; so any LoRA can be held against it.

No torch: the sizes follow from eight numbers of transformer/config.json (diffusers' FluxTransformer2DModel)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isengard.engine import lora_keys
from isengard.engine.errors import EngineError

# Channels of the sinusoidal timestep embedding and the feed-forward factor: fixed in FLUX.1's code, not configured.
TIME, MLP = 256, 4


@dataclass(frozen=True)
class Geometry:
    """`width` is the hidden size; `text` and `pooled` those of T5's and CLIP's output; `channels` of a patch."""

    width: int
    doubles: int
    singles: int
    channels: int
    text: int
    pooled: int
    guidance: bool

    def size(self, module: str) -> tuple[int, int] | None:
        """Inputs and outputs of a layer in diffusers' name; None where this model has no such layer."""
        kind, block, _ = lora_keys.order(module)
        if kind == 0:
            return self._outside().get(module)
        if block >= (self.doubles if kind == 1 else self.singles):
            return None
        return (DOUBLE_SIZES if kind == 1 else SINGLE_SIZES)[module.split(".", 2)[2]](self.width)

    def _outside(self) -> dict[str, tuple[int, int]]:
        width = self.width
        inputs = {"timestep": TIME, "text": self.pooled} | ({"guidance": TIME} if self.guidance else {})
        entry = {f"time_text_embed.{name}_embedder.linear_1": (size, width) for name, size in inputs.items()}
        after = {f"time_text_embed.{name}_embedder.linear_2": (width, width) for name in inputs}
        ends = {
            "x_embedder": (self.channels, width),
            "context_embedder": (self.text, width),
            "norm_out.linear": (width, 2 * width),
            "proj_out": (width, self.channels),
        }
        return {**entry, **after, **ends}


def _square(width: int) -> tuple[int, int]:
    return width, width


def _wider(width: int) -> tuple[int, int]:
    return width, MLP * width


def _narrower(width: int) -> tuple[int, int]:
    return MLP * width, width


def _modulation(width: int) -> tuple[int, int]:
    """Shift, scale and gate, for attention and for the feed-forward part."""
    return width, 6 * width


DOUBLE_SIZES = dict.fromkeys(lora_keys.DOUBLE, _square) | {
    "norm1.linear": _modulation,
    "norm1_context.linear": _modulation,
    "ff.net.0.proj": _wider,
    "ff_context.net.0.proj": _wider,
    "ff.net.2": _narrower,
    "ff_context.net.2": _narrower,
}
SINGLE_SIZES = {
    "norm.linear": lambda width: (width, 3 * width),
    "attn.to_q": _square,
    "attn.to_k": _square,
    "attn.to_v": _square,
    "proj_mlp": _wider,
    "proj_out": lambda width: ((1 + MLP) * width, width),
}
FLUX = Geometry(width=3072, doubles=19, singles=38, channels=64, text=4096, pooled=768, guidance=True)


def of(folder: Path) -> Geometry:
    """Of a base model's diffusers folder. EngineError base_unreadable."""
    try:
        config: dict[str, Any] = json.loads((folder / "transformer" / "config.json").read_text())
        return Geometry(
            width=int(config["num_attention_heads"]) * int(config["attention_head_dim"]),
            doubles=int(config["num_layers"]),
            singles=int(config["num_single_layers"]),
            channels=int(config["in_channels"]),
            text=int(config["joint_attention_dim"]),
            pooled=int(config["pooled_projection_dim"]),
            guidance=bool(config.get("guidance_embeds", False)),
        )
    except (OSError, ValueError, KeyError, TypeError):
        text = f"The base model in {folder.name} is incomplete: transformer/config.json is missing or damaged."
        raise EngineError("base_unreadable", text) from None


def slices(place: lora_keys.Place, width: int) -> list[int]:
    """How many outputs each slice of a fused layer has, in order: q, k, v and, in single blocks, the feed-forward."""
    return [MLP * width if module.endswith("proj_mlp") else width for module in place.modules]
