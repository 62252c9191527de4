"""Windows over latents: a large picture is denoised in parts that overlap, and they are blended at every step.

MultiDiffusion (Bar-Tal and others, 2023): each step's prediction is the weighted mean of the windows' own, so nothing
has to be joined afterwards. Knows no picture, no prompt."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

# A quarter of a window is seen twice: less shows seams, more only takes longer.
OVERLAP = 0.25
PATCH = 2  # latent cells: what the denoiser takes as one token


@dataclass(frozen=True)
class Window:
    """A part of latents, in cells."""

    top: int
    left: int
    height: int
    width: int

    def of(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[..., self.top : self.top + self.height, self.left : self.left + self.width]


def grid(height: int, width: int, side: int) -> tuple[Window, ...]:
    """Windows of at most `side` cells that cover height x width cells, each overlapping its neighbours."""
    high, wide = min(side, height), min(side, width)
    return tuple(Window(top, left, high, wide) for top in _starts(height, high) for left in _starts(width, wide))


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - OVERLAP))) + 1
    even = (round((length - side) * index / (count - 1) / PATCH) * PATCH for index in range(count))
    return [min(start, length - side) for start in even]


def halves(height: int, width: int) -> tuple[Window, Window]:
    """The left and the right part, which share an eighth of the width in the middle."""
    wide = min(math.ceil(width * 9 / 16 / PATCH) * PATCH, width)
    return Window(0, 0, height, wide), Window(0, width - wide, height, wide)


def blended(
    latents: torch.Tensor, windows: Sequence[Window], predict: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """The mean of what is predicted for each window (…, C, h, w), heavier in a window's middle than at its edges."""
    total, weights = torch.zeros_like(latents), torch.zeros_like(latents[:1, :1])
    for window in windows:
        slope = _slope(window).to(latents.device)
        window.of(total).add_(predict(window.of(latents)) * slope)
        window.of(weights).add_(slope)
    return total / weights


def _slope(window: Window) -> torch.Tensor:
    """(h, w): falls from the middle to the edges, never to zero."""
    down, across = (_ramp(side) for side in (window.height, window.width))
    return down[:, None] * across[None, :]


def _ramp(side: int) -> torch.Tensor:
    place = torch.arange(side, dtype=torch.float32)
    return torch.minimum(place + 1, side - place) / side
