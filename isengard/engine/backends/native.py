"""The engine's own backend: PyTorch, diffusers and peft in this process, imported by the first job.

Keeps one registry of warm pipelines for pictures; a training gets the whole device, so it drops them first."""

import gc
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from isengard.engine import capabilities
from isengard.engine.events import Asks, Event, Sink, Stop, nothing_asked
from isengard.engine.specs import CaptionSpec, GenerateSpec, TrainSpec

if TYPE_CHECKING:
    from isengard.engine.pipelines import Registry


class NativeBackend:
    key = "native"

    def __init__(self) -> None:
        self._registry: Registry | None = None

    def facts(self) -> Event:
        machine = capabilities.probe()
        uuid = {"gpu_uuid": machine.gpus[0].uuid} if machine.device == "cuda" else {}
        return {"device": machine.device, "name": machine.name, "torch": machine.torch, **uuid}

    def warm_up(self) -> None:
        _import()

    def train(self, spec: TrainSpec, sink: Sink, stop: Stop, asks: Asks = nothing_asked) -> Event:
        self.close()
        _announce_import(sink)
        _import()
        from isengard.engine.trainer import loop

        return loop.train(spec, sink, stop, asks)

    def generate(self, spec: GenerateSpec, sink: Sink, stop: Stop, asks: Asks = nothing_asked) -> Event:
        _announce_import(sink)
        _import()
        from isengard.engine import sampling
        from isengard.engine.pipelines import Registry

        self._registry = self._registry or Registry(capabilities.probe().device)
        return sampling.generate(spec, sink, stop, self._registry, asks)

    def caption(self, spec: CaptionSpec, sink: Sink, stop: Stop) -> Event:
        self.close()
        _announce_import(sink)
        from isengard.engine import captioning

        return captioning.caption(spec, sink, stop)

    def close(self) -> None:
        if self._registry is not None:
            self._registry.close()
            self._registry = None


@cache
def _import() -> None:
    """What drawing and training need, once, before any model is there. The garbage collector would walk through all of
    it again and again meanwhile (a fifth of the time), and later at each `close` (0.2 s): it stays out of both.

    Where torch is there already, somebody's model may be, too, and must not be kept for ever."""
    first = "torch" not in sys.modules
    gc.disable()
    try:
        for name in ("families.flux1", "trainer.loop", "drawing.job"):
            import_module(f"isengard.engine.{name}")
        if first:
            gc.freeze()
    finally:
        gc.enable()


def _announce_import(sink: Sink) -> None:
    """The first job of a process waits some seconds for the imports; the page should say for what."""
    if "torch" not in sys.modules:
        sink("stage", stage="loading_model", message="Starting PyTorch")
