"""One place for LoRAs on a compiled denoiser: what is worn is copied into the same tensors, so no program changes.

Several LoRAs add up to one whose rows stand below each other. Knows denoisers and peft; no file, no job."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import nn

# Layer → its A (rank, inputs) and B (outputs, rank), α multiplied in.
Weights = dict[str, tuple[torch.Tensor, torch.Tensor]]

ADAPTER = "worn"
# Ranks are rounded up to this, doubled as often as needed: each is another program, and two LoRAs of the usual rank
# are to share one with a single one. Rows that nobody fills are zero: 0.3 % more arithmetic for each 16 of them.
LEAST_RANK = 32
BLOCK = re.compile(r"^(\w*transformer_blocks)\.\d+\.")


class Slot:
    """There is none until a LoRA is worn, since even an empty one is computed. It then covers the same layers in every
    block, so that all blocks share one program; a LoRA of other layers makes it grow, which compiles once more."""

    def __init__(self, denoiser: Any, dtype: torch.dtype) -> None:
        self._denoiser, self._dtype = denoiser, dtype
        self._kinds: set[str] = set()
        self._layers: dict[str, LoraLayer] = {}

    @torch.no_grad()
    def fill(self, worn: Sequence[tuple[Weights, float]]) -> None:
        """Exactly these, each times its strength; none: zeros, which change nothing."""
        self._cover({_kind(name) for weights, _ in worn for name in weights})
        needed = [sum(weights[name][0].shape[0] for weights, _ in worn if name in weights) for name in self._layers]
        rank = _rank(max(needed, default=0))
        for name, layer in self._layers.items():
            down, up = self._room(layer, rank)
            begin = 0
            for weights, strength in worn:
                if name in weights:
                    own_down, own_up = weights[name]
                    end = begin + own_down.shape[0]
                    down[begin:end] = own_down
                    up[:, begin:end] = own_up.float() * strength
                    begin = end

    def remove(self) -> None:
        """Takes the slot off again: the denoiser is exactly the base."""
        if self._layers:
            self._denoiser.delete_adapters(ADAPTER)
        self._kinds, self._layers = set(), {}

    def _cover(self, kinds: set[str]) -> None:
        if kinds <= self._kinds:
            return
        kinds |= self._kinds
        self.remove()
        names = [
            name
            for name, layer in self._denoiser.named_modules()
            if _kind(name) in kinds and isinstance(layer, nn.Linear | LoraLayer)
        ]
        config = LoraConfig(r=LEAST_RANK, lora_alpha=LEAST_RANK, target_modules=names)
        self._denoiser.add_adapter(config, adapter_name=ADAPTER)
        self._denoiser.enable_adapters()  # layers of an earlier adapter remember that it was switched off
        self._denoiser.requires_grad_(False)
        layers = dict(self._denoiser.named_modules())
        self._kinds, self._layers = kinds, {name: layers[name] for name in names}

    def _room(self, layer: LoraLayer, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The layer's A and B, all zero, at this rank and in the base's number format."""
        found = []
        for half, side in ((layer.lora_A[ADAPTER], 0), (layer.lora_B[ADAPTER], 1)):
            size = list(half.weight.shape)
            size[side] = rank
            if list(half.weight.shape) != size or half.weight.dtype != self._dtype:
                empty = torch.empty(size, dtype=self._dtype, device=half.weight.device)
                half.weight = nn.Parameter(empty, requires_grad=False)
            found.append(half.weight.zero_())
        return found[0], found[1]


def _kind(name: str) -> str:
    """A layer's name without the number of its block."""
    return BLOCK.sub(r"\1.", name)


def _rank(needed: int) -> int:
    rank = LEAST_RANK
    while rank < needed:
        rank *= 2
    return rank
