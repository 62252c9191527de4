"""What a backend is: who does the work (this process on PyTorch, or a server). Not what model: that is a family.

No torch here: a backend imports what it needs when it first works."""

from dataclasses import dataclass
from typing import Protocol

from isengard.engine import unpacking
from isengard.engine.errors import EngineError
from isengard.engine.events import Asks, Event, Sink, Stop, nothing_asked
from isengard.engine.specs import (
    CaptionSpec,
    ExamineSpec,
    GenerateSpec,
    MaskSpec,
    TrainSpec,
    UnpackSpec,
    spec_from_dict,
)


class Backend(Protocol):
    """One per engine process; its methods are called one at a time, always by the same thread."""

    key: str

    def facts(self) -> Event:
        """The fields of `ready`: `device` (cpu or cuda), `torch` (its version), `gpu_uuid` where there is a GPU.

        Must not import torch."""
        ...

    def warm_up(self) -> None:
        """Imports what the first job would wait for; loads no model and touches no GPU."""
        ...

    def train(self, spec: TrainSpec, sink: Sink, stop: Stop, asks: Asks) -> Event:
        """Trains until done or `stop()`, does between steps what `asks()` tells; the fields of the `result` event.

        EngineError: with what to do next."""
        ...

    def generate(self, spec: GenerateSpec, sink: Sink, stop: Stop, asks: Asks) -> Event:
        """Makes the pictures but those that `asks()` says to skip; the fields of the `result` event.

        What it loaded may stay loaded for the next call."""
        ...

    def caption(self, spec: CaptionSpec, sink: Sink, stop: Stop) -> Event:
        """Describes photos with models from disk; the fields of the `result` event. EngineError: a model is broken."""
        ...

    def close(self) -> None:
        """Gives back what it holds; it may be used again afterwards."""
        ...


@dataclass(frozen=True)
class Working:
    """A backend as the `Work` of serve.py: from plain JSON to the right method."""

    backend: Backend

    def __call__(self, data: Event, sink: Sink, stop: Stop, asks: Asks = nothing_asked) -> Event:
        try:
            spec = spec_from_dict(data)
        except (KeyError, TypeError, ValueError) as error:
            message = f"The engine does not understand this job ({error!r}). Restart the studio: parts of it are older."
            raise EngineError("bad_spec", message) from error
        if isinstance(spec, TrainSpec):
            return self.backend.train(spec, sink, stop, asks)
        if isinstance(spec, UnpackSpec):
            # No model is behind it, so no backend is asked.
            return unpacking.unpack(spec, sink, stop)
        if isinstance(spec, ExamineSpec):
            from isengard.engine import examine

            return examine.run(spec, sink, stop)
        if isinstance(spec, MaskSpec):
            # OpenCV is only imported by an engine that needs it.
            from isengard.engine import masks

            return masks.make(spec, sink, stop)
        if isinstance(spec, CaptionSpec):
            return self.backend.caption(spec, sink, stop)
        return self.backend.generate(spec, sink, stop, asks)
