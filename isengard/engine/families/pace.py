"""How a denoiser is run: as it is, with compiled blocks, with a step cache. Knows diffusers' models; no job."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from diffusers import FirstBlockCacheConfig

from isengard.engine.speed import EXACT, Speed

T = TypeVar("T")

BACKEND: Any = "inductor"
# How many programs are kept. Pictures make two (the first one's size, then one for all others), and again for each
# rank and choice of layers of the LoRA's slot, a reference picture, a cache.
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
            # Beyond the limit torch would go on in the plain blocks without a word.
            _dynamo.config.fail_on_recompile_limit_hit = True
            # The cache decides outside of the program, so one graph for a whole block cannot be asked for.
            denoiser.compile_repeated_blocks(backend=BACKEND, fullgraph=False)

    def run(self, denoiser: Any, sigma: torch.Tensor, shape: torch.Size, call: Callable[[], T]) -> T:
        """One call of the denoiser at noise level sigma (B,) with latents of a shape."""
        with self._step(denoiser, sigma, shape):
            return self._compiled(denoiser, call) if self.speed.compiled else call()

    def _compiled(self, denoiser: Any, call: Callable[[], T]) -> T:
        """Where there are too many programs all are forgotten and those that are needed compiled again: a wait now and
        then, and never plain blocks under the name of compiled ones."""
        from torch import _dynamo

        try:
            return call()
        except _dynamo.exc.FailOnRecompileLimitHit:
            _dynamo.reset()
            if self.speed.cache:
                denoiser._reset_stateful_cache()
            return call()

    @contextmanager
    def _step(self, denoiser: Any, sigma: torch.Tensor, shape: torch.Size) -> Iterator[None]:
        if not self.speed.cache:
            yield
            return
        level, last = sigma.max().item(), self._last
        if last is None or shape != last[1] or level >= last[0]:
            denoiser._reset_stateful_cache()
        self._last = (level, shape)
        with denoiser.cache_context("picture"):
            yield
