"""The most memory that this process has used since a moment, on the host and on the GPU. Knows torch, no job."""

import contextlib
import resource
import sys
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


Usage = dict[str, int]


class Peaks:
    """The highest since this was made, and since the last mark."""

    def __init__(self) -> None:
        self._before: Usage = {}
        _forget()

    def mark(self) -> None:
        self._before = self.highest()
        _forget()

    def since_mark(self) -> Usage:
        return {"peak_vram_bytes": _vram(), "peak_rss_bytes": _rss()}

    def highest(self) -> Usage:
        return {name: max(value, self._before.get(name, 0)) for name, value in self.since_mark().items()}


def _forget() -> None:
    """Where the kernel cannot forget, the host's peak is that of the whole process."""
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _rss() -> int:
    for line in STATUS.read_text().splitlines() if STATUS.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _vram() -> int:
    """What torch had reserved of the GPU, which is what others could not use; 0 without one."""
    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
