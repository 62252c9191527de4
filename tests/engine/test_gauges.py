"""The heartbeat's numbers: of this process always, of a GPU where it tells. The library here stands in for NVML."""

from types import ModuleType, SimpleNamespace
from typing import Any

from isengard.engine.gauges import Gauges


class Refused(Exception):
    pass


def nvml(**changes: Any) -> ModuleType:
    """Answers for the GPU called GPU-1; `changes` replace single answers."""
    library: Any = ModuleType("pynvml")
    library.NVMLError, library.NVML_TEMPERATURE_GPU = Refused, 0
    library.nvmlInit = lambda: None
    library.nvmlDeviceGetHandleByUUID = {"GPU-1": "handle"}.__getitem__
    library.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=87)
    library.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=5 << 30)
    library.nvmlDeviceGetTemperature = lambda handle, sensor: 61
    library.nvmlDeviceGetPowerUsage = lambda handle: 412345
    for name, answer in changes.items():
        setattr(library, name, answer)
    return library


def refuse(*_: Any) -> Any:
    raise Refused


def test_without_a_gpu_it_tells_memory_and_processor_only() -> None:
    assert set(Gauges()()) == {"rss_bytes", "cpu_percent"}


def test_a_busy_process_is_seen() -> None:
    gauges = Gauges()
    sum(i * i for i in range(3_000_000))
    assert 0 < gauges()["cpu_percent"] <= 100


def test_a_gpu_tells_load_memory_heat_and_watts() -> None:
    told = Gauges("GPU-1", nvml())()
    assert {name: told[name] for name in ("gpu_percent", "vram_bytes", "celsius", "watts")} == {
        "gpu_percent": 87, "vram_bytes": 5 << 30, "celsius": 61, "watts": 412.3
    }  # fmt: skip


def test_what_a_gpu_does_not_tell_is_left_out() -> None:
    told = Gauges("GPU-1", nvml(nvmlDeviceGetPowerUsage=refuse))()
    assert "watts" not in told and told["celsius"] == 61


def test_a_driver_that_does_not_answer_costs_only_the_gpus_numbers() -> None:
    assert set(Gauges("GPU-1", nvml(nvmlInit=refuse))()) == {"rss_bytes", "cpu_percent"}
