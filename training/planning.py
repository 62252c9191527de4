"""The plan of a training before it starts: time, memory, disk, what is adapted to make it fit, and why it cannot start.

Knows rows, no request and no torch; what is known of machine and history comes from experience.py."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from isengard import storage
from isengard.engine import catalog, parameters, plan
from isengard.engine.params import BadParam
from isengard.engine.plan import Decision, Disk, Fit, Machine, Seconds, gigabytes
from isengard.errors import Invalid, Unavailable
from training import user_presets
from training.experience import geometry, history, machine, rough_seconds, steps_to_take
from training.models import TrainingRun

Params = dict[str, Any]
# What the plan may change by itself, while it stands at the preset's value.
ADAPTABLE = ("precision", "quantize", "resolution")


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


def make(base: str, params: Params, *, pictures: int, may: Iterable[str] = (), steps: int | None = None) -> Plan:
    """`params` complete and settled, `pictures` with their crops. Only settings named in `may` are adapted to fit.

    `steps`: those to take where others were taken before."""
    here, shape = machine(), geometry(base)
    known = history(base, here)
    found = plan.fit(catalog.get(base), shape, params, here, may=frozenset(may), factor=known.memory)
    rough = rough_seconds(base, found.params, here, pictures, recompute=found.recompute)
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
        rough = rough_seconds(self._base, params, self._here, pictures, recompute=twice)
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
    if run.start == TrainingRun.Start.LONGER or run.begun_at:
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
