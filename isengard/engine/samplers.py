"""Ways to walk from noise to a picture, as facts: names, cost, which base takes which. Imports no torch.

The work itself is in drawing/solvers.py. Names that other programs write into pictures are led to the nearest here."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isengard.engine.errors import EngineError

if TYPE_CHECKING:
    from isengard.engine.catalog import Base


@dataclass(frozen=True)
class Sampler:
    """`twice`: it asks the model twice a step, but once in the last."""

    key: str
    label: str
    twice: bool = False

    @property
    def offer(self) -> str:
        """Its name with what it costs."""
        return f"{self.label}, twice the time" if self.twice else self.label

    def evaluations(self, steps: int) -> int:
        """How often the model is asked in so many steps."""
        return 2 * steps - 1 if self.twice else steps


EULER = Sampler("euler", "Euler")
SAMPLERS = {
    one.key: one
    for one in (
        EULER,
        Sampler("heun", "Heun", twice=True),
        Sampler("dpmpp_2m", "DPM++ 2M"),
        Sampler("unipc", "UniPC"),
    )
}
DISTILLED = (
    "This base is distilled: it learned to jump to the picture in a few Euler steps, and does not draw the smooth path "
    "that the other samplers follow."
)
# Names of A1111, ComfyUI and InvokeAI without case, spaces and signs, the schedule's name left out.
KNOWN = {
    "euler": "euler",
    "eulersimple": "euler",
    "flowmatcheulerdiscrete": "euler",
    "heun": "heun",
    "flowmatchheundiscrete": "heun",
    "dpm2m": "dpmpp_2m",
    "dpmpp2m": "dpmpp_2m",
    "unipc": "unipc",
    "unipcbh2": "unipc",
}
# The longest beginning counts; whatever is not here is nearest to Euler.
NEAREST = {"heun": "heun", "unipc": "unipc", "dpm2": "heun", "dpmpp": "dpmpp_2m", "dpm": "dpmpp_2m", "deis": "dpmpp_2m"}
SCHEDULES = re.compile(r"[ _](karras|exponential|simple|normal|beta|k|trailing|sgm uniform|automatic)$")


def get(key: str) -> Sampler:
    """EngineError unknown_sampler."""
    if key not in SAMPLERS:
        known = ", ".join(SAMPLERS)
        raise EngineError("unknown_sampler", f"There is no sampler called {key!r}. Choose one of {known}.")
    return SAMPLERS[key]


def offered(base: "Base") -> tuple[Sampler, ...]:
    """Those that are right for a base; Euler always is."""
    return tuple(one for one in SAMPLERS.values() if not why_not(one.key, base))


def why_not(key: str, base: "Base") -> str:
    """Why a sampler is not right for a base, empty when it is. EngineError unknown_sampler."""
    return DISTILLED if get(key) != EULER and base.distilled else ""


def nearest(name: str) -> tuple[str, bool]:
    """The sampler here for what another program calls one, and whether it is the same."""
    plain = re.sub(r"[^a-z0-9]", "", SCHEDULES.sub("", name.strip().lower().replace("++", "pp")))
    if plain in KNOWN:
        return KNOWN[plain], True
    starts = [start for start in NEAREST if plain.startswith(start)]
    return (NEAREST[max(starts, key=len)] if starts else EULER.key), False
