"""The pipeline check: a tick for each part of a training that can fail, before minutes are spent on all of it.

A tick runs the real thing (what it prepares is used, what it changes is taken back), and what fails ends the job with
the reason. Knows the loop's parts by their verbs; no file of ours, no Django."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from isengard.engine.errors import EngineError
from isengard.engine.events import Sink
from isengard.engine.families.base import Family
from isengard.engine.trainer.state import TrainState
from isengard.engine.trainer.usage import Peaks

GIB = 1 << 30
PROBE_STEPS = 2
# A round trip through FLUX's autoencoder keeps 30 dB and more, through Pocket's 25; one of other weights is below 10.
POOR_PSNR = 15.0
# Whatever a model or a disk can raise. Being told to stop is no failure.
FAILURES = (EngineError, RuntimeError, OSError, ValueError, KeyError, TypeError, MemoryError)


class Tick:
    """Set `text` to what was found."""

    def __init__(self, text: str = "") -> None:
        self.text = text


class Checks:
    """Says each tick twice: that it runs, and how it ended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    @contextmanager
    def tick(self, name: str, text: str) -> Iterator[Tick]:
        """`text` says what is done; set the tick's own to what was found. An error fails the tick and goes on."""
        self._say(name, "running", text, 0.0)
        began, tick = time.monotonic(), Tick(text)
        try:
            yield tick
        except FAILURES as error:
            self._say(name, "failed", str(error).partition("\n")[0][:300], time.monotonic() - began)
            raise
        self._say(name, "ok", tick.text, time.monotonic() - began)

    def skip(self, name: str, why: str) -> None:
        self._say(name, "skipped", why, 0.0)

    def _say(self, name: str, state: str, text: str, seconds: float) -> None:
        self._sink("check", name=name, state=state, text=text, seconds=round(seconds, 3))


@torch.no_grad()
def round_trip(family: Family, pixels: torch.Tensor, tick: Tick) -> None:
    """(1, 3, H, W) in [-1, 1] through the autoencoder and back, as decibels of PSNR. EngineError vae_not_finite."""
    back = family.decode(family.encode_images(pixels)).cpu().clamp(-1, 1)
    error = (back - pixels).square().mean().item()
    if not math.isfinite(error):
        text = "The base's autoencoder gives no numbers. Use fp32 precision, or get the base model's files again."
        raise EngineError("vae_not_finite", text)
    # A peak of 2: pixels go from -1 to 1.
    psnr = 10 * math.log10(4 / error) if error > 0 else math.inf
    poor = ", which is poor: are these the base's own files?" if psnr < POOR_PSNR else ""
    tick.text = f"a photo comes back with {psnr:.0f} dB{poor}"


def probe(
    step: Callable[[], torch.Tensor], state: TrainState, peaks: Peaks, tick: Tick, *, warm: bool = False
) -> dict[str, float]:
    """Two real steps, taken back to the last bit (weights, optimizer, chance). The fields of the `probe` event.

    `warm`: it begins from a LoRA. EngineError first_loss_not_finite: before anything was learnt, so what it would learn
    from is broken."""
    before = state.pack()
    peaks.mark()
    times = [_timed(step) for _ in range(PROBE_STEPS)]
    facts = {"seconds_per_step": round(times[-1][0], 4), **peaks.since_mark()}
    state.take(*before)
    if not math.isfinite(times[0][1]):
        cure = "Use fp32 precision, or get the base model's files again."
        if warm:
            cure = "The LoRA that it begins from is damaged or far too strong. Begin without it."
        raise EngineError("first_loss_not_finite", f"The very first loss is not a number. {cure}")
    tick.text = f"two steps work, {times[-1][0]:.2g} s each"
    return facts


def _timed(step: Callable[[], torch.Tensor]) -> tuple[float, float]:
    """Seconds of a step and its loss."""
    began = time.monotonic()
    loss = step().item()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - began, loss


def memory_words(facts: dict[str, float], device: torch.device) -> str:
    """What the probe's peak means for this machine."""
    if device.type != "cuda":
        return f"{facts['peak_rss_bytes'] / GIB:.1f} GB of memory at most"
    total = torch.cuda.get_device_properties(device).total_memory
    return f"{facts['peak_vram_bytes'] / GIB:.1f} of {total / GIB:.0f} GB of GPU memory at most"
