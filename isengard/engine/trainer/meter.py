"""Losses on their way from the device to the job's events, without making the device wait. No Django.

A GPU's loss is copied while later steps already run and read two steps late: numbers that ran away are known within
three."""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from isengard.engine.errors import EngineError
from isengard.engine.events import Sink

IN_FLIGHT = 2
BURST_STEPS = 10
BURST_SECONDS = 0.5
FINAL_STEPS = 50


@dataclass
class _Reading:
    step: int
    loss: torch.Tensor
    copied: Any
    rate: float
    speed: float
    seconds: float


class Meter:
    """Emits a `metric` for every step, in short bursts, and keeps the mean of the last steps' losses."""

    def __init__(self, sink: Sink, spent_before: float = 0.0, recent: Sequence[float] = ()) -> None:
        """What earlier attempts left: seconds of training, and the losses of their last steps."""
        self._sink, self._spent_before = sink, spent_before
        self._flying: deque[_Reading] = deque()
        self._landed: list[dict[str, Any]] = []
        self._recent: deque[float] = deque(recent, maxlen=FINAL_STEPS)
        self._steps = 0
        self._began = time.monotonic()
        self._sent = float("-inf")  # the first loss is not held back: somebody waits for it
        self._paused = 0.0
        self._times: deque[float] = deque(maxlen=BURST_STEPS + 1)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, earlier attempts included, previews left out."""
        return self._spent_before + self._clock() - self._began

    @property
    def recent(self) -> list[float]:
        """The last losses that were read, oldest first."""
        return list(self._recent)

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of this attempt's steps."""
        return (self._clock() - self._began) / self._steps if self._steps else None

    def _clock(self) -> float:
        return time.monotonic() - self._paused

    def pause(self, seconds: float) -> None:
        """Time that was not training (previews, checkpoints) and must not count as slow steps."""
        self._paused += seconds

    def add(self, step: int, loss: torch.Tensor, rate: float) -> None:
        """EngineError loss_not_finite: the loss of this step or one of the two before it is not a number."""
        self._steps += 1
        self._times.append(self._clock())
        took = self._times[-1] - self._times[0]
        speed = (len(self._times) - 1) / took if took > 0 else 0.0
        host, copied = _start_copy(loss)
        self._flying.append(_Reading(step, host, copied, rate, speed, self.seconds))
        while len(self._flying) > (IN_FLIGHT if copied else 0):
            self._land()
        if len(self._landed) >= BURST_STEPS or time.monotonic() - self._sent >= BURST_SECONDS:
            self._send()

    def flush(self) -> None:
        """Waits for all losses and emits what is left."""
        while self._flying:
            self._land()
        self._send()

    def final_loss(self) -> float | None:
        """Mean of the last losses: one step's loss is mostly the luck of its noise level."""
        return sum(self._recent) / len(self._recent) if self._recent else None

    def _land(self) -> None:
        reading = self._flying.popleft()
        if reading.copied is not None:
            reading.copied.synchronize()
        loss = float(reading.loss)
        if not math.isfinite(loss):
            self._send()
            text = f"The loss of step {reading.step} is not a number any more. Lower the learning rate and train again."
            raise EngineError("loss_not_finite", text)
        self._recent.append(loss)
        fields = {"step": reading.step, "loss": loss, "learning_rate": reading.rate}
        self._landed.append({**fields, "speed": round(reading.speed, 4), "seconds": round(reading.seconds, 3)})

    def _send(self) -> None:
        for fields in self._landed:
            self._sink("metric", **fields)
        self._landed, self._sent = [], time.monotonic()


def _start_copy(loss: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """The loss on the host and the event to wait for (None: it is there already)."""
    if loss.device.type != "cuda":
        return loss.clone(), None
    host = torch.empty((), pin_memory=True).copy_(loss, non_blocking=True)
    copied: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()
    return host, copied
