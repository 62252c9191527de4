"""How a denoiser is run: as it is, with compiled blocks, with a step cache. Knows diffusers' models; no job."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig

from isengard.engine.speed import EXACT, Speed

BACKEND = "inductor"
# Each LoRA that is put on or off, and each picture shape, is another program; torch's own limit of 8 would end in the
# plain blocks without a word.
PROGRAMS = 64


class Pace:
    """One denoiser's pace. A cache may take over only from the same drawing: noise levels fall within one."""

    def __init__(self) -> None:
        self.speed = EXACT
        self._last: tuple[float, torch.Size] | None = None

    def set(self, denoiser: Any, speed: Speed) -> None:
        self._last = None
        if speed == self.speed:
            return
        if self.speed.cache:
            denoiser.disable_cache()
        if speed.cache:
            denoiser.enable_cache(FirstBlockCacheConfig(threshold=speed.cache))
        self._compile(denoiser, speed.compiled)
        self.speed = speed

    def _compile(self, denoiser: Any, wanted: bool) -> None:
        """Anew with every change: hooks of a cache belong to the compiled program."""
        for module in denoiser.modules():
            module._compiled_call_impl = None
        if wanted:
            from torch import _dynamo  # seconds that only a compiled model is worth

            _dynamo.config.recompile_limit = PROGRAMS
            # The cache decides outside of the program, so one graph for a whole block cannot be asked for.
            denoiser.compile_repeated_blocks(backend=BACKEND, fullgraph=False)

    @contextmanager
    def step(self, denoiser: Any, sigma: torch.Tensor, shape: torch.Size) -> Iterator[None]:
        """Around one call of the denoiser at noise level sigma (B,) with latents of a shape."""
        if not self.speed.cache:
            yield
            return
        level, last = sigma.max().item(), self._last
        if last is None or shape != last[1] or level >= last[0]:
            denoiser._reset_stateful_cache()
        self._last = (level, shape)
        with denoiser.cache_context("picture"):
            yield
