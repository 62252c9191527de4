"""THE sampling path: training previews, class pictures and Generate all draw here, so a seed means one picture.

Knows families and files of one job; no queue, no database, no Django."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image

from isengard.engine import catalog, memory, recipe
from isengard.engine.drawing import solvers
from isengard.engine.drawing.windows import Window, blended
from isengard.engine.errors import EngineError
from isengard.engine.events import Asks, Event, Sink, Stop, nothing_asked
from isengard.engine.families.base import Embeds, Family
from isengard.engine.pipelines import Registry
from isengard.engine.rundir import replacing
from isengard.engine.specs import GenerateSpec

PROGRESS_SECONDS = 0.1

# Called after each step with the step (1 …), the number of steps and a way to ask for the picture as it seems so far.
OnStep = Callable[[int, int, Callable[[], torch.Tensor]], None]


class Stopped(Exception):
    """Leaves a picture between two steps; never leaves the engine."""


class Throttle:
    """Says yes at most once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, float("-inf")

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


@dataclass(frozen=True)
class Look:
    """How a picture is drawn: size in pixels, denoising steps, guidance scale (what it means: Family.guidance), and
    the way from one noise level to the next (samplers.py)."""

    width: int
    height: int
    steps: int
    guidance: float
    sampler: str = "euler"


def usual_look(base_key: str) -> Look:
    """The base's own size, steps and guidance, as Generate offers them first."""
    base = catalog.get(base_key)
    return Look(base.native_size, base.native_size, base.steps, base.guidance_scale)


class Guide(Protocol):
    """What steers a drawing beside its prompt: a control picture, a reference. isengard/engine/guides has them."""

    def kwargs(self, done: float) -> dict[str, Any]:
        """More arguments for `Family.predict` at this share of the steps, 0 at the first; none: no steering now."""


@dataclass(frozen=True)
class Start:
    """What a drawing begins from: noise-free latents (1, C, h, w), and how much of the way back to noise (0 … 1) it
    goes. Where `mask` (1, 1, h, w) is 0 the latents are held, where it is 1 they are drawn."""

    latents: torch.Tensor
    denoise: float
    mask: torch.Tensor | None = None


@torch.no_grad()
def draw(
    family: Family,
    embeds: Embeds,
    negative: Embeds,
    *,
    seeds: Sequence[int],
    look: Look,
    on_step: OnStep | None = None,
    guide: Guide | None = None,
    start: Start | None = None,
    windows: Sequence[Window] = (),
    pause: Callable[[], None] | None = None,
) -> torch.Tensor:
    """Latents (B, C, h, w) of one prompt, one picture for each seed. The noise comes from the CPU, so a seed means the
    same on every device; a picture drawn alone and one drawn among others may differ in the last bit.

    The look's sampler goes along the family's noise levels. `negative` counts only where the family guides by two
    predictions. With `windows` every prediction is the blend of one for each, and `pause` is called before each."""
    shape, count = family.latent_shape(look.width, look.height), len(seeds)
    noise = torch.cat([torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(seed)) for seed in seeds])
    noise = noise.to(family.device)
    embeds, negative = _repeated(embeds, count), _repeated(negative, count)
    part_shape = (shape[0], windows[0].height, windows[0].width) if windows else shape
    sigmas = _levels(family, look.steps, part_shape, start.denoise if start else 1.0).to(family.device)
    latents = _noised(start, noise, sigmas[0]) if start else noise
    solver = solvers.make(look.sampler, sigmas)

    def held(latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        if start is None or start.mask is None:
            return latents
        return torch.where(start.mask > 0, latents, _noised(start, noise, sigma))

    for index in range(look.steps):
        more = guide.kwargs(index / look.steps) if guide else {}

        def velocity(latents: torch.Tensor, sigma: torch.Tensor, more: dict[str, Any] = more) -> torch.Tensor:
            def predict(part: torch.Tensor) -> torch.Tensor:
                if pause is not None:
                    pause()
                return _guided(family, part, sigma.expand(count), embeds, negative, look.guidance, more)

            latents = held(latents, sigma)
            return blended(latents, windows, predict) if windows else predict(latents)

        before = latents
        latents, seen = solver(index, before, velocity)
        latents = held(latents, sigmas[index + 1])
        if on_step is not None:
            on_step(index + 1, look.steps, _Clean(before, sigmas[index], seen))
    return latents


def _levels(family: Family, steps: int, shape: tuple[int, ...], denoise: float) -> torch.Tensor:
    """The last `steps` levels of a drawing so long that they are `denoise` of it, so a small change has its steps."""
    return family.sigmas(steps if denoise >= 1 else int(steps / denoise), shape)[-(steps + 1) :]


def _noised(start: Start, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return sigma * noise + (1 - sigma) * start.latents


def _repeated(embeds: Embeds, count: int) -> Embeds:
    return {name: tensor.expand(count, *tensor.shape[1:]) for name, tensor in embeds.items()}


@dataclass(frozen=True)
class _Clean:
    """The noise-free latents that one step points at, computed only when somebody looks."""

    latents: torch.Tensor
    sigma: torch.Tensor
    velocity: torch.Tensor

    def __call__(self) -> torch.Tensor:
        return self.latents - self.sigma * self.velocity


def _guided(
    family: Family,
    latents: torch.Tensor,
    sigma: torch.Tensor,
    embeds: Embeds,
    negative: Embeds,
    scale: float,
    more: dict[str, Any],
) -> torch.Tensor:
    if family.guidance != "true_cfg":
        return family.predict(latents, sigma, embeds, scale, **more)
    if scale == 1.0:
        return family.predict(latents, sigma, embeds, 1.0, **more)
    both = {name: torch.cat([negative[name], embeds[name]]) for name in embeds}
    without, with_prompt = family.predict(latents.repeat(2, 1, 1, 1), sigma.repeat(2), both, 1.0, **more).chunk(2)
    return without + scale * (with_prompt - without)


@torch.no_grad()
def picture(family: Family, latents: torch.Tensor) -> Image.Image:
    """The RGB picture of latents (1, C, h, w)."""
    pixels = (family.decode(latents)[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).mul(255).round()
    return Image.fromarray(pixels.to("cpu", torch.uint8).numpy())


@contextmanager
def tiled(family: Family, on: bool) -> Iterator[None]:
    """Within it the autoencoder works in tiles, or not."""
    family.tile(on)
    try:
        yield
    finally:
        family.tile(False)


def not_finite(seed: int) -> EngineError:
    text = f"The picture with seed {seed} came out empty: its numbers overflowed. Lower guidance or LoRA strength."
    return EngineError("picture_not_finite", text)


def save_png(image: Image.Image, path: Path, facts: recipe.Recipe) -> None:
    """The picture with its recipe, whole or not at all."""
    with replacing(path) as part:
        image.save(part, pnginfo=recipe.png_text(facts))


def generate(spec: GenerateSpec, sink: Sink, stop: Stop, registry: Registry, asks: Asks = nothing_asked) -> Event:
    """Draws one picture for each seed but those that are to be skipped; the fields of the `result` event.

    Every picture is announced as soon as it is stored, so a later failure loses none, and one that cannot be made is
    left out with a word in the log. EngineError: out_of_memory, size_not_possible, what loading the base or a LoRA can
    raise; where no picture came of it, the first one's reason."""
    from isengard.engine.drawing.job import Job

    with memory.explained("the picture size"):
        return Job(spec, sink, stop, registry, asks).run()
