"""What fits where: device, number format, what may stay loaded, a sentence when memory or disk runs out. No Django."""

import errno
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError

from isengard.engine import catalog, plan
from isengard.engine.errors import EngineError
from isengard.engine.families.base import Quantize
from isengard.engine.plan import SMALL_WEIGHTS
from isengard.engine.specs import BaseModel

PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}


def pick_device() -> torch.device:
    """The first NVIDIA GPU that torch can use, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_small(folder: Path) -> bool:
    """Whether a base (its diffusers folder) is a toy for which no memory needs saving."""
    return sum(path.stat().st_size for path in (folder / "transformer").glob("*.safetensors")) < SMALL_WEIGHTS


def pick_dtype(folder: Path, precision: str | None = None) -> torch.dtype:
    """`precision` (bf16, fp32) where the request names one; else fp32 for small weights and bf16 for large ones."""
    if precision in PRECISIONS:
        return PRECISIONS[precision]
    return torch.float32 if is_small(folder) else torch.bfloat16


def fitting(base: BaseModel, device: torch.device, dtype: torch.dtype, wish: str) -> Quantize:
    """How the denoiser's weights are kept for drawing. `auto`: whole, where they fit beside the drawing itself."""
    folder = Path(base.path)
    if wish != "auto" or is_small(folder):
        return "int8" if wish == "int8" else "none"
    how = {"precision": name_of(dtype), "quantize": "none"}
    needed = plan.drawing_bytes(plan.geometry(catalog.get(base.key), folder), how)
    return "none" if needed <= _at_most(device) else "int8"


def _at_most(device: torch.device) -> int:
    """Bytes that this process could take there if it gave back everything it has."""
    return _free(device) if device.type == "cuda" else int(psutil.virtual_memory().total)


def name_of(dtype: torch.dtype) -> str:
    """As `precision` calls it."""
    return next(name for name, known in PRECISIONS.items() if known == dtype)


def room(device: torch.device) -> int:
    """Bytes that can still be taken there now: of a GPU what nobody has and what torch holds unused."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    return _free(device) - torch.cuda.memory_allocated(device)


def must_recompute_activations(base: BaseModel, device: torch.device, params: dict[str, Any]) -> bool:
    """Whether a training has to recompute activations in the backward pass (a third slower, far less memory): where
    the plan's formulas say that it would not fit otherwise."""
    folder = Path(base.path)
    if is_small(folder) or device.type != "cuda":
        return not is_small(folder)
    needed = plan.device_bytes(plan.geometry(catalog.get(base.key), folder), params, recompute=False)
    return needed > _free(device)


def _free(device: torch.device) -> int:
    """What this process may use of a GPU: what nobody has, and what it has already."""
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + torch.cuda.memory_reserved(device)


def settle_threads(folder: Path, device: torch.device) -> None:
    """One thread for a toy on the CPU: its layers are too small to share, and on a busy machine two threads wait for
    each other (measured: over ten times slower at a load of 10). Also keeps every number the same everywhere."""
    if device.type == "cpu" and is_small(folder):
        torch.set_num_threads(1)


def drawing_batch(folder: Path) -> int:
    """How many class pictures are drawn at once."""
    return 8 if is_small(folder) else 1


def release() -> None:
    """Gives back what nothing holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: Exception) -> bool:
    """torch's CPU allocator has no exception class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def is_out_of_disk(error: Exception) -> bool:
    """safetensors reports the system's error as text of its own exception."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or "No space left on device" in str(error)


@contextmanager
def explained(lower: str) -> Iterator[None]:
    """EngineError out_of_memory, naming the settings to `lower`, or disk_full instead of the libraries' own errors."""
    try:
        yield
    except (RuntimeError, OSError, SafetensorError) as error:
        if is_out_of_disk(error):
            text = "The disk is full. Delete pictures or old trainings, or make room, and try again."
            raise EngineError("disk_full", text, retryable=True) from error
        if not is_out_of_memory(error):
            raise
        release()
        text = f"There was not enough memory. Lower {lower}, or close other programs that use the same memory."
        raise EngineError("out_of_memory", text, retryable=True) from error
