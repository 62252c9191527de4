"""How long a training will take on this machine, from what earlier ones took. Knows no request."""

from dataclasses import dataclass
from typing import Any

from isengard.jobs.models import Job
from training.models import TrainingRun

# Until this machine has trained once: seconds per plain step of Pocket on two CPU cores, and of FLUX on
# a 24 GB card at 768 px (the original's own rule of thumb).
ROUGH = {"pocket": 0.06, "flux-dev": 2.0}
HISTORY = 5
# A step with preservation: once more forward with the base, once more forward and back (measured on Pocket).
PRESERVING = 2.4


@dataclass(frozen=True)
class Estimate:
    """Seconds from start to LoRA; `measured` says whether this machine's own trainings stand behind it."""

    seconds: float
    measured: bool


def estimate(base: str, params: dict[str, Any]) -> Estimate:
    """Scaled by steps, batch and picture area from the latest finished runs on this base."""
    latest = TrainingRun.objects.filter(base=base, job__state=Job.State.COMPLETED).select_related("job").order_by("-id")
    rates = [rate for run in latest[:HISTORY] if (rate := _seconds_per_work(run)) is not None]
    if rates:
        return Estimate(sorted(rates)[len(rates) // 2] * _work(params), measured=True)
    return Estimate(ROUGH.get(base, 2.0) * params["steps"] * _parts(params), measured=False)


def _work(params: dict[str, Any]) -> float:
    area = float(params["resolution"]) ** 2
    return float(params["steps"] * params["batch_size"]) * _parts(params) * area


def _parts(params: dict[str, Any]) -> float:
    """How many plain batches one step is worth."""
    return float(params.get("gradient_accumulation", 1) * (PRESERVING if params.get("preservation") else 1.0))


def _seconds_per_work(run: TrainingRun) -> float | None:
    elapsed = run.job.elapsed
    return elapsed.total_seconds() / _work(run.params) if elapsed else None
