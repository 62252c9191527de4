"""The running average of the adapter's weights (EMA): what previews, checkpoints and the finished LoRA show.

Knows tensors by name; no loop, no file, no Django."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

# An average that began with the untrained weights would hold on to them; so it averages over fewer steps at first
# (Polyak averaging with warm-up as TensorFlow and timm have it: decay of step t at most (1 + t) / (10 + t)).
WARM_UP = 10


class Average:
    """`decay` 0: no average, the weights themselves."""

    def __init__(self, weights: Mapping[str, torch.nn.Parameter], decay: float) -> None:
        self.weights, self.decay = weights, decay
        self.kept: dict[str, torch.Tensor] = {}
        self.begin()

    def begin(self) -> None:
        """Anew, with the weights as they are."""
        self.kept = {key: weight.detach().clone() for key, weight in self.weights.items()} if self.decay else {}

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Takes in the weights as they are after step 1, 2, …"""
        if not self.kept:
            return
        decay = min(self.decay, (1 + step) / (WARM_UP + step))
        torch._foreach_lerp_(list(self.kept.values()), [self.weights[key].detach() for key in self.kept], 1 - decay)

    @torch.no_grad()
    def load(self, kept: Mapping[str, torch.Tensor]) -> None:
        """KeyError: one is missing."""
        for key, tensor in self.kept.items():
            tensor.copy_(kept[key])

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Inside, the adapter holds the average; afterwards what it held before, to the last bit."""
        before = {key: self.weights[key].detach().clone() for key in self.kept}
        self._put(self.kept)
        try:
            yield
        finally:
            self._put(before)

    @torch.no_grad()
    def _put(self, weights: Mapping[str, torch.Tensor]) -> None:
        for key, tensor in weights.items():
            self.weights[key].copy_(tensor)
