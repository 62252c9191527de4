"""Larger pictures without a diffusion model: by an upscaling network where its file is here, else by Lanczos.

The networks: rrdb.py. Knows no base model, no prompt."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from isengard.engine.drawing import rrdb

LANCZOS = Image.Resampling.LANCZOS
# A network sees so much at once, and so much around it that is thrown away: its picture then has no seams.
TILE, AROUND = 256, 16


def _go_on() -> None:
    pass


def enlarged(
    source: Image.Image, size: tuple[int, int], upscaler: str, device: torch.device, pause: Callable[[], None] = _go_on
) -> tuple[Image.Image, str]:
    """The picture at `size` (width, height), and what made it so. EngineError upscaler_unusable.

    `pause` is called before each tile and may raise to leave."""
    if not upscaler:
        return source.resize(size, LANCZOS), "Lanczos (no upscaling model here)"
    larger = _by_network(source, Path(upscaler), device, pause)
    return larger.resize(size, LANCZOS) if larger.size != size else larger, f"model {Path(upscaler).stem}"


def tiles(size: tuple[int, int]) -> int:
    """How many a network takes for a picture of this size."""
    return math.ceil(size[0] / TILE) * math.ceil(size[1] / TILE)


@torch.no_grad()
def _by_network(source: Image.Image, path: Path, device: torch.device, pause: Callable[[], None]) -> Image.Image:
    model = rrdb.load(path, device)
    pixels = torch.from_numpy(np.array(source, np.float32)).permute(2, 0, 1)[None] / 255
    _, _, height, width = pixels.shape
    scale = model.scale
    result = torch.empty(1, 3, height * scale, width * scale)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            pause()
            above, before = max(top - AROUND, 0), max(left - AROUND, 0)
            part = pixels[:, :, above : top + TILE + AROUND, before : left + TILE + AROUND]
            large = model(part.to(device)).float().cpu()
            rows, columns = min(TILE, height - top) * scale, min(TILE, width - left) * scale
            y, x = (top - above) * scale, (left - before) * scale
            into = result[:, :, top * scale : top * scale + rows, left * scale : left * scale + columns]
            into.copy_(large[:, :, y : y + rows, x : x + columns])
    return Image.fromarray(result[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().to(torch.uint8).numpy())


def mirrored(source: Image.Image, around: tuple[int, int, int, int]) -> Image.Image:
    """With so many pixels more at the left, top, right and bottom, which mirror the picture at its edges."""
    left, top, right, bottom = around
    more = ((top, bottom), (left, right), (0, 0))
    pixels: NDArray[np.uint8] = np.pad(np.asarray(source, np.uint8), more, "symmetric")
    return Image.fromarray(pixels)


def padded(image: Image.Image, multiple: int) -> Image.Image:
    """At the right and at the bottom up to multiples, by the edge's own pixels."""
    right, bottom = (-side % multiple for side in image.size)
    pixels: NDArray[np.uint8] = np.pad(np.asarray(image, np.uint8), ((0, bottom), (0, right), (0, 0)), "edge")
    return Image.fromarray(pixels)
