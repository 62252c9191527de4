"""What this machine is: processor, memory, GPUs, and whether the installed PyTorch can use them. Imports no torch.

Asked by pages and the launcher, so it must be quick and must not fail: what cannot be read is left out."""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import psutil

CACHE_SECONDS = 5.0
NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total,memory.used,compute_cap,uuid",
    "--format=csv,noheader,nounits",
)
NVIDIA_SMI_TIMEOUT = 4.0
MIB = 1 << 20
# Ampere: the first generation whose tensor cores do bfloat16.
BF16_COMPUTE = (8, 0)


@dataclass(frozen=True)
class Gpu:
    index: int
    name: str
    uuid: str
    vram_bytes: int
    used_bytes: int
    compute: tuple[int, int]


@dataclass(frozen=True)
class Capabilities:
    """`device` is what the engine will use; `note` says why it is not the GPU where there is one, else it is empty."""

    device: Literal["cpu", "cuda"]
    name: str
    gpus: tuple[Gpu, ...]
    bf16: bool
    vram_bytes: int
    ram_bytes: int
    ram_free_bytes: int
    cpus: int
    torch: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def probe() -> Capabilities:
    """The machine as it is now, at most 5 s old."""
    return _probe(int(time.monotonic() / CACHE_SECONDS))


@lru_cache(maxsize=1)
def _probe(_tick: int) -> Capabilities:
    gpus = visible(nvidia_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    note = why_not_cuda(gpus, torch_version(), torch_cuda())
    usable = bool(gpus) and not note
    memory = psutil.virtual_memory()
    return Capabilities(
        device="cuda" if usable else "cpu",
        name=gpus[0].name if usable else "CPU",
        gpus=gpus,
        bf16=usable and gpus[0].compute >= BF16_COMPUTE,
        vram_bytes=gpus[0].vram_bytes if usable else 0,
        ram_bytes=memory.total,
        ram_free_bytes=memory.available,
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        torch=torch_version(),
        note=note,
    )


def why_not_cuda(gpus: tuple[Gpu, ...], torch: str, cuda: str) -> str:
    if gpus and not cuda:
        return (
            f"{gpus[0].name} is here, but the installed PyTorch {torch} is a build without CUDA. "
            "Install the CUDA build of the same version."
        )
    return ""


def nvidia_gpus() -> tuple[Gpu, ...]:
    """As nvidia-smi lists them; none where there is no driver, or where it does not answer in time."""
    try:
        done = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=NVIDIA_SMI_TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_gpus(done.stdout)


def parse_gpus(table: str) -> tuple[Gpu, ...]:
    """One line a GPU: index, name, total MiB, used MiB, compute capability, uuid. Other lines are left out."""
    return tuple(gpu for line in table.splitlines() if (gpu := _gpu(line)))


def _gpu(line: str) -> Gpu | None:
    cells = [cell.strip() for cell in line.split(",")]
    try:
        index, name, total, used, compute, uuid = cells
        major, minor = compute.split(".")
        return Gpu(int(index), name, uuid, int(total) * MIB, int(used) * MIB, (int(major), int(minor)))
    except ValueError:
        return None


def visible(gpus: tuple[Gpu, ...], wanted: str | None) -> tuple[Gpu, ...]:
    """Those that CUDA_VISIBLE_DEVICES lets a program see, in its order; CUDA stops at the first it does not know."""
    if wanted is None:
        return gpus
    chosen: list[Gpu] = []
    for word in filter(None, (word.strip() for word in wanted.split(","))):
        match = next((gpu for gpu in gpus if word == str(gpu.index) or gpu.uuid.startswith(word)), None)
        if match is None:
            break
        chosen.append(match)
    return tuple(chosen)


@lru_cache(maxsize=1)
def torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def torch_cuda() -> str:
    """The CUDA version that the installed torch was built for, empty for a CPU build; read, not imported."""
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        return ""
    path = Path(found.submodule_search_locations[0]) / "version.py"
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("cuda") and "'" in line:
            return line.split("'")[1]
    return ""


def processor() -> str:
    """The processor as people name it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
