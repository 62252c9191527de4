"""What is known where a training will run: the worker's machine, the base's shape, what earlier trainings took there.

Knows rows, no request and no torch; the formulas are the engine's (isengard/engine/plan.py)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from django.conf import settings

from isengard.engine import catalog, parameters, plan
from isengard.engine.capabilities import Capabilities, probe
from isengard.engine.errors import EngineError
from isengard.engine.plan import Geometry, Machine, Seconds
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from training.models import TrainingRun

Params = dict[str, Any]
HISTORY = 5
MEASURED = ("seconds_per_step", "peak_vram_bytes", "peak_rss_bytes", "effect")
# A formula that is further off than this was told of another machine, or measured beside something else.
LEAST_FACTOR, MOST_FACTOR = 0.5, 2.0
# Of all memory, what a machine without a GPU can give a training while another one runs: it will have ended by then.
SHARE_WHEN_BUSY = 0.8


@dataclass(frozen=True)
class History:
    """What earlier trainings on this base and device took, by what the formulas had said; 1 where nothing is known.

    `runs`: how many stand behind the seconds."""

    memory: float = 1.0
    step: float = 1.0
    rest: float = 1.0
    runs: int = 0


# The machine


def machine() -> Machine:
    """The smallest GPU worker that is online, as it reported itself; this machine where none has."""
    reported = [found for worker in jobs.online("gpu") if (found := _reported(worker.machine, worker.job_id is None))]
    return min(reported, key=lambda found: found.memory) if reported else _this_machine(probe())


def _reported(facts: Params, idle: bool) -> Machine | None:
    if not facts:
        return None
    gpu, ram = facts["device"] == "cuda", int(facts["ram_bytes"])
    memory = facts["vram_bytes"] if gpu else facts["ram_free_bytes"] if idle else ram * SHARE_WHEN_BUSY
    return Machine(facts["device"], facts["name"], int(memory), ram, bool(facts["bf16"]) or not gpu)


def _this_machine(found: Capabilities) -> Machine:
    gpu = found.device == "cuda"
    memory = found.vram_bytes if gpu else found.ram_free_bytes
    return Machine(found.device, found.name, memory, found.ram_bytes, found.bf16 or not gpu)


def geometry(base: str) -> Geometry:
    """From the base's folder; as published where it is not on this machine. EngineError unknown_base."""
    try:
        folder = str(catalog.locate(base, settings.MODELS_DIR))
    except EngineError:
        folder = ""
    return _geometry(base, folder)


@lru_cache(maxsize=16)
def _geometry(base: str, folder: str) -> Geometry:
    return plan.geometry(catalog.get(base), Path(folder) if folder else None)


# What earlier trainings say


def history(base: str, here: Machine) -> History:
    runs = [run for run in _earlier(base) if run.plan.get("device", here.name) == here.name]
    finished = [run for run in runs if run.job.state == Job.State.COMPLETED and run.job.elapsed]
    memory = _ratios(runs, lambda run: _memory_ratio(run, here))
    return History(
        memory=min(max(median(memory), LEAST_FACTOR), MOST_FACTOR) if memory else 1.0,
        step=median(_ratios(finished, lambda run: _seconds_ratios(run, here)[0]) or [1.0]),
        rest=median(_ratios(finished, lambda run: _seconds_ratios(run, here)[1]) or [1.0]),
        runs=min(len(finished), HISTORY),
    )


def _earlier(base: str) -> list[TrainingRun]:
    runs = TrainingRun.objects.filter(base=base, job__state__in=[Job.State.COMPLETED, Job.State.FAILED])
    return list(runs.select_related("job", "parent").order_by("-id")[: HISTORY * 4])


def _ratios(runs: Iterable[TrainingRun], ratio: Callable[[TrainingRun], float | None]) -> list[float]:
    return [found for run in runs if (found := ratio(run)) is not None][:HISTORY]


def _memory_ratio(run: TrainingRun, here: Machine) -> float | None:
    name = "peak_vram_bytes" if here.on_gpu else "peak_rss_bytes"
    # A run that failed was probed at least.
    took = run.measured.get(name) or run.measured.get("probe", {}).get(name)
    if not took:
        return None
    said = plan.needed_bytes(geometry(run.base), complete(run), here, recompute=_recomputed(run))
    return float(took / said)


def _seconds_ratios(run: TrainingRun, here: Machine) -> tuple[float | None, float | None]:
    """Of a step and of the rest. A run that was never measured tells both by its whole time; that of one that was
    paused or interrupted holds the time it stood still, a night perhaps, so only its steps count."""
    rough = rough_seconds(run.base, complete(run), here, len(run.photos), recompute=_recomputed(run))
    took, elapsed, steps = run.measured.get("seconds_per_step"), run.job.elapsed, steps_to_take(run)
    step = took / rough.step if took else None
    if elapsed is None or run.job.was_interrupted:
        return step, None
    if not took:
        whole = elapsed.total_seconds() / rough.total(steps)
        return whole, whole
    return step, max(elapsed.total_seconds() - took * steps, 0.0) / rough.rest


def complete(run: TrainingRun) -> Params:
    """A run's parameters with what those meant that did not exist yet, without those that exist no more."""
    defaults = {param.name: param.default for param in catalog.training_params(run.base)}
    known = {**defaults, **parameters.BEFORE, **run.params}
    return {name: known[name] for name in defaults}


def steps_to_take(run: TrainingRun) -> int:
    """Those of its own: a training that goes on with another's begins at that one's last."""
    return max(int(run.params["steps"]) - run.steps_before, 1)


def _recomputed(run: TrainingRun) -> bool:
    return bool(run.plan.get("recompute", False))


def rough_seconds(base: str, params: Params, here: Machine, pictures: int, *, recompute: bool) -> Seconds:
    return plan.rough_seconds(geometry(base), params, here.name, pictures, on_gpu=here.on_gpu, recompute=recompute)


def remember(run: TrainingRun, result: Params) -> None:
    """Keeps what a finished run measured, beside what its probe had told."""
    run.measured = {**run.measured, **{name: result[name] for name in MEASURED if result.get(name) is not None}}
    run.save(update_fields=["measured"])
