"""How busy this process and its GPU are, for the heartbeat. No torch, no Django; NVML is asked only where it is.

A GPU's numbers are of the whole device (temperature and watts belong to nobody); the memory too, because NVML cannot
tell processes apart inside containers."""

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import psutil

Reading = dict[str, Any]


class Gauges:
    """Call it for the numbers now: rss_bytes and cpu_percent always, the GPU's where it answers."""

    def __init__(self, gpu_uuid: str = "", nvml: ModuleType | None = None) -> None:
        """`gpu_uuid`: as nvidia-smi names the engine's GPU, "" for none. `nvml`: the library, if not the installed."""
        self._process, self._processors = psutil.Process(), os.cpu_count() or 1
        self._process.cpu_percent(None)  # the first answer is the beginning of the time that the second is about
        self._nvml: Any
        self._handle: Any
        self._nvml, self._handle = _opened(gpu_uuid, nvml) if gpu_uuid else (None, None)

    def __call__(self) -> Reading:
        cpu = self._process.cpu_percent(None) / self._processors
        own = {"rss_bytes": self._process.memory_info().rss, "cpu_percent": round(cpu, 1)}
        return {**own, **self._gpu()}

    def _gpu(self) -> Reading:
        if self._nvml is None:
            return {}
        nvml, handle = self._nvml, self._handle
        asked: dict[str, Callable[[], Any]] = {
            "gpu_percent": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "vram_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
            "celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "watts": lambda: round(nvml.nvmlDeviceGetPowerUsage(handle) / 1000, 1),
        }
        found = {name: _told(nvml, ask) for name, ask in asked.items()}
        return {name: value for name, value in found.items() if value is not None}


def _told(nvml: Any, ask: Callable[[], Any]) -> Any:
    """None where this GPU does not tell (laptops: no watts; slices of a GPU: no load)."""
    try:
        return ask()
    except nvml.NVMLError:
        return None


def _opened(uuid: str, nvml: Any) -> tuple[Any, Any]:
    library = nvml or _installed()
    if library is None:
        return None, None
    try:
        library.nvmlInit()
        return library, library.nvmlDeviceGetHandleByUUID(uuid)
    except library.NVMLError:
        return None, None


def _installed() -> Any:
    try:
        return import_module("pynvml")
    except ImportError:
        return None
