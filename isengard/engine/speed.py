"""Presets of speed: what each does to a drawing, and why a machine or a base cannot use it. Facts only, no torch.

Exact is how training draws its samples, so only Exact repeats them bit for bit."""

import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from isengard.engine.capabilities import Capabilities
from isengard.engine.errors import EngineError

if TYPE_CHECKING:
    from isengard.engine.catalog import Base


@dataclass(frozen=True)
class Speed:
    """`compiled`: the blocks of the denoiser are compiled at first use. `cache`: a step whose first block changes less
    than this share from the last one takes over what the other blocks made of that; 0: every step is computed."""

    key: str
    label: str
    help: str
    compiled: bool = False
    cache: float = 0.0


EXACT = Speed("exact", "Exact", "As in training: the same seed repeats a training sample bit for bit.")
# ParaAttention shows 0.08 for FLUX.1-dev; nunchaku 0.12, for 1.4 times the speed at 30 steps.
SPEEDS = {
    speed.key: speed
    for speed in (
        EXACT,
        Speed("fast", "Fast", "Compiled: the same picture but for rounding; the first waits for it.", compiled=True),
        Speed(
            "draft",
            "Draft",
            "Compiled, and steps that change little are taken over: fine likeness is lost. For finding seeds.",
            compiled=True,
            cache=0.12,
        ),
    )
}
SMALL = (
    "Pocket is so small that compiling it takes longer than drawing with it, and none of its few blocks can be skipped."
)

NO_COMPILER = (
    "It compiles the model, which needs a C compiler and Python's headers (gcc and python3-dev, as Debian calls them), "
    "and they are not on this machine."
)


def get(key: str) -> Speed:
    """EngineError unknown_speed."""
    if key not in SPEEDS:
        raise EngineError("unknown_speed", f"There is no speed called {key!r}. Choose one of {', '.join(SPEEDS)}.")
    return SPEEDS[key]


def why_not(key: str, base: "Base", machine: Capabilities) -> str:
    """Why a preset cannot be used, empty when it can."""
    if get(key) == EXACT:
        return ""
    if base.key == "pocket":
        return SMALL
    if machine.device != "cuda":
        return f"{get(key).label} needs an NVIDIA GPU, and this machine draws on its processor."
    return "" if not get(key).compiled or _has_compiler() else NO_COMPILER


def _has_compiler() -> bool:
    """As Triton looks for one when it builds what starts its kernels."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return bool(compiler) and (Path(sysconfig.get_path("include")) / "Python.h").is_file()
