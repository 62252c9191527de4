"""What a training will take on this studio's worker, before it starts: the engine's formulas (isengard/engine/plan.py)
with what the worker says of itself and what earlier trainings measured. Knows rows, no request and no torch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from django.conf import settings

from isengard import storage
from isengard.engine import catalog, parameters, plan
from isengard.engine.capabilities import Capabilities, probe
from isengard.engine.errors import EngineError
from isengard.engine.params import BadParam
from isengard.engine.plan import Decision, Disk, Fit, Geometry, Machine, Seconds, gigabytes
from isengard.errors import Invalid, Unavailable
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from training import user_presets
from training.models import TrainingRun

Params = dict[str, Any]
HISTORY = 5
# What the plan may change by itself, while it stands at the preset's value.
ADAPTABLE = ("precision", "quantize", "resolution")
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


@dataclass(frozen=True)
class Plan:
    """`problem` says why it cannot start ("" if it can), `advice` the settings that would make it fit, if any would."""

    machine: Machine
    fit: Fit
    seconds: Seconds
    total_seconds: float
    runs: int
    ram: int
    disk: Disk
    warnings: tuple[str, ...] = ()
    problem: str = ""
    advice: Params = field(default_factory=dict)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self.fit.decisions

    @property
    def measured(self) -> bool:
        return self.runs > 0

    @property
    def steps(self) -> int:
        return int(self.fit.params["steps"])

    @property
    def memory(self) -> str:
        """As a person reads it: "16 GB of 23 GB"."""
        return f"{gigabytes(self.fit.needed)} of {gigabytes(self.machine.usable)}"

    def to_dict(self) -> Params:
        """As it is stored with the run and given by the API."""
        return {
            "device": self.machine.name,
            "kind": self.machine.device,
            "seconds": round(self.total_seconds, 1),
            "seconds_per_step": round(self.seconds.step, 4),
            "measured_runs": self.runs,
            "memory_bytes": self.fit.needed,
            "memory_available_bytes": self.machine.usable,
            "ram_bytes": self.ram,
            "disk_bytes": {
                "cache": self.disk.cache,
                "checkpoints": self.disk.checkpoints,
                "samples": self.disk.samples,
                "total": self.disk.total,
            },
            "recompute": self.fit.recompute,
            "fits": self.fit.fits,
            "decisions": [{"setting": d.setting, "value": d.value, "text": d.text} for d in self.decisions],
            "warnings": list(self.warnings),
        }


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
    """Of a step and of the rest. A run that was never measured tells both by its whole time."""
    elapsed, params = run.job.elapsed, complete(run)
    if elapsed is None:
        return None, None
    rough = _rough(run.base, params, here, len(run.photos), recompute=_recomputed(run))
    took = run.measured.get("seconds_per_step")
    steps = steps_to_take(run)
    if not took:
        whole = elapsed.total_seconds() / rough.total(steps)
        return whole, whole
    return took / rough.step, max(elapsed.total_seconds() - took * steps, 0.0) / rough.rest


def complete(run: TrainingRun) -> Params:
    """A run's parameters with what those meant that did not exist yet, without those that exist no more."""
    defaults = {param.name: param.default for param in catalog.training_params(run.base)}
    known = {**defaults, **parameters.BEFORE, **run.params}
    return {name: known[name] for name in defaults}


def steps_to_take(run: TrainingRun) -> int:
    """Those of its own: a training that goes on with another's begins at that one's last."""
    before = run.parent if run.start == TrainingRun.Start.LONGER else None
    return max(int(run.params["steps"]) - (int(before.params["steps"]) if before else 0), 1)


def _recomputed(run: TrainingRun) -> bool:
    return bool(run.plan.get("recompute", False))


def _rough(base: str, params: Params, here: Machine, pictures: int, *, recompute: bool) -> Seconds:
    return plan.rough_seconds(geometry(base), params, here.name, pictures, on_gpu=here.on_gpu, recompute=recompute)


def remember(run: TrainingRun, result: Params) -> None:
    """Keeps what a finished run measured, beside what its probe had told."""
    run.measured = {**run.measured, **{name: result[name] for name in MEASURED if result.get(name) is not None}}
    run.save(update_fields=["measured"])


# The plan


def make(base: str, params: Params, *, pictures: int, may: Iterable[str] = (), steps: int | None = None) -> Plan:
    """`params` complete and settled, `pictures` with their crops. Only settings named in `may` are adapted to fit.

    `steps`: those to take where others were taken before."""
    here, shape = machine(), geometry(base)
    known = history(base, here)
    found = plan.fit(catalog.get(base), shape, params, here, may=frozenset(may), factor=known.memory)
    rough = _rough(base, found.params, here, pictures, recompute=found.recompute)
    seconds = Seconds(rough.step * known.step, rough.rest * known.rest)
    advice = {} if found.fits else plan.that_would_fit(catalog.get(base), shape, params, here, factor=known.memory)
    needed = plan.disk(shape, found.params, pictures)
    return Plan(
        machine=here,
        fit=found,
        seconds=seconds,
        total_seconds=seconds.total(steps or params["steps"]),
        runs=known.runs,
        ram=plan.host_bytes(shape, found.params, on_gpu=here.on_gpu, recompute=found.recompute),
        disk=needed,
        warnings=tuple(_warnings(base, found.params, here)),
        problem=_too_large(base, found, here, advice) or _no_room(needed),
        advice=advice or {},
    )


class Outlook:
    """How long trainings of one base will take here, asked for several settings at once."""

    def __init__(self, base: str) -> None:
        self._base, self._here = base, machine()
        self._known = history(base, self._here)

    def seconds(self, params: Params, pictures: int) -> float:
        """`params` settled. As it is set, whether or not it fits."""
        twice = params.get("gradient_checkpointing") == "on"
        rough = _rough(self._base, params, self._here, pictures, recompute=twice)
        return Seconds(rough.step * self._known.step, rough.rest * self._known.rest).total(params["steps"])


def preview(base: str, preset: str, params: Params, pictures: int) -> Plan:
    """The plan of what may be asked for next, on so many pictures. Invalid: the values contradict each other."""
    try:
        settled = parameters.settled(params, pictures)
    except BadParam as error:
        raise Invalid("bad_param", str(error)) from error
    return make(base, settled, pictures=pictures, may=adaptable(base, settled, preset, pictures))


def adaptable(base: str, params: Params, preset: str, pictures: int) -> frozenset[str]:
    """Settings nobody chose by hand: those that stand as the preset, or the base, has them."""
    usual = {param.name: param.default for param in catalog.training_params(base)}
    usual |= user_presets.named(base, preset, pictures).values
    return frozenset(name for name in ADAPTABLE if name in usual and params[name] == usual[name])


def settle(run: TrainingRun) -> None:
    """Gives a run that is about to be queued its plan, and the settings that it takes to fit (`run` is not saved).

    Unavailable does_not_fit, disk_full: it could only fail, with what to change."""
    pictures = sum(len(photo["crops"]) or 1 for photo in run.photos)
    fixed = set(run.sweep.axes) if run.sweep else set()
    may = adaptable(run.base, run.params, run.preset, len(run.photos)) - fixed
    if run.start == TrainingRun.Start.LONGER:
        may = frozenset()  # its saved state belongs to exactly these settings
    found = make(run.base, run.params, pictures=pictures, may=may, steps=steps_to_take(run))
    if not found.fit.fits:
        raise Unavailable("does_not_fit", found.problem, status=400)
    if found.problem:
        raise Unavailable("disk_full", found.problem)
    run.params, run.plan = found.fit.params, found.to_dict()


def _too_large(base: str, found: Fit, here: Machine, advice: Params | None) -> str:
    if found.fits:
        return ""
    what = "GPU memory" if here.on_gpu else "free memory"
    sentence = f"It would need about {gigabytes(found.needed)} of {what}, and {here.name} has {gigabytes(here.usable)}."
    if advice:
        return f"{sentence} It fits with {words(base, advice)}."
    return f"{sentence} No settings make it small enough: close what else uses the memory, or use a larger machine."


def words(base: str, values: Params) -> str:
    """Settings as people read them: "Resolution 768 px, Quantised base int8"."""
    declared = {param.name: param for param in catalog.training_params(base)}
    parts = [f"{declared[name].label} {value} {declared[name].unit}".strip() for name, value in values.items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _no_room(needed: Disk) -> str:
    free = storage.free_bytes() - settings.FREE_SPACE_FLOOR
    if needed.total <= free:
        return ""
    return (
        f"It would write about {needed.total / 1e9:.1f} GB, and {max(free, 0) / 1e9:.1f} GB are free where the studio "
        "keeps its files. Keep fewer checkpoints, or delete old pictures or trainings."
    )


def _warnings(base: str, params: Params, here: Machine) -> Iterable[str]:
    steps, every, often = (params[name] for name in ("steps", "checkpoint_every_n_steps", "sample_every_n_steps"))
    if every > steps:
        yield (
            f"Checkpoints are due every {every} steps, and it takes only {steps}: none is kept on the way, and an "
            "interruption starts it over."
        )
    if often > steps:
        yield f"Pictures are due every {often} steps, and it takes only {steps}: they are drawn before and after it."
    loading = plan.host_bytes(geometry(base), params, on_gpu=here.on_gpu)
    if here.on_gpu and loading > here.ram:
        yield f"Loading it needs about {gigabytes(loading)} of main memory, and there are {gigabytes(here.ram)}."
