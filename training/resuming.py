"""Going on with a training that was stopped or failed, from the newest state it saved. Decides whether that can help.

The run that goes on is a new one: an end is an end. It takes curve, samples and checkpoints along (history.py)."""

from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from isengard import storage
from isengard.engine import rundir
from isengard.errors import Conflict
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from training import carrying, services
from training.models import TrainingRun

UNFINISHED = {Job.State.FAILED, Job.State.CANCELLED}
# Its own frozen photos are damaged: the state belongs to them as they were.
PHOTOS = frozenset({"no_images", "photo_missing", "image_unreadable", "mask_unreadable", "mask_size"})
# Every bit is the same the second time, so these come again.
RAN_AWAY = frozenset({"loss_not_finite", "weights_not_finite"})
AGAIN = {
    **dict.fromkeys(PHOTOS, "Its photos are damaged or gone, and it can only go on with the very same ones."),
    **dict.fromkeys(RAN_AWAY, "With the same settings its numbers would run away at the same step again."),
    **dict.fromkeys(("first_loss_not_finite", "vae_not_finite"), "As it stands it would end the same way again."),
    "no_effect": "It has taken all of its steps; more of the same settings change nothing.",
    "state_unusable": "What it saved is damaged, or belongs to other settings.",
}


@dataclass(frozen=True)
class Kept:
    """What a run left that did not finish: the newest saved state's step and bytes on disk, 0 where there is none.

    `why_not`: why it cannot go on as it was; empty when it can. `usable`: whether it could with another setting."""

    step: int = 0
    bytes: int = 0
    why_not: str = ""
    usable: bool = False


def kept(run: TrainingRun) -> Kept:
    """What is left of a run, and what that is good for."""
    states = rundir.states(storage.absolute(storage.run_key(run.job.public_id)))
    found = Kept(rundir.step_of(states[-1]), states[-1].stat().st_size) if states else Kept()
    reason = _why_not(run, bool(states))
    usable = bool(states) and (not reason or run.job.error_code in RAN_AWAY | {"no_effect"})
    return replace(found, why_not=reason, usable=usable and run.job.state in UNFINISHED)


def _why_not(run: TrainingRun, saved: bool) -> str:
    if run.job.state not in UNFINISHED:
        return "Only a training that was stopped or failed can go on. Train a finished one longer instead."
    if not saved:
        return _nothing_saved(run)
    if carrying.state_of(run) is None:
        return AGAIN["photo_missing"]
    return AGAIN.get(run.job.error_code, "") if run.job.state == Job.State.FAILED else ""


def _nothing_saved(run: TrainingRun) -> str:
    if run.checkpoints.exists():
        return "It cannot go on: what that needs was deleted, or a later training took it over."
    return "It ended before it had saved anything to go on from."


def go_on(*, run: TrainingRun, values: dict[str, Any] | None = None) -> TrainingRun:
    """A queued run that goes on after the last saved step, with `values` changed (fixes.py knows which may be).

    Conflict: it cannot, with the reason; or it is on its way already. Otherwise as `services.again`."""
    with transaction.atomic():
        jobs.lock_for_retry(job=run.job)
        run.job.refresh_from_db()
        found, beginning = kept(run), carrying.where_it_ended(run)
        if beginning is None or (found.why_not and not (values and found.usable)):
            raise Conflict("cannot_go_on", found.why_not or AGAIN["photo_missing"])
        return services.again(run=run, values=values, beginning=beginning)


def forget(*, run: TrainingRun) -> None:
    """Deletes what a run needs to go on, or to be trained longer. Conflict: it has not ended."""
    if run.job.is_active:
        raise Conflict("still_active", "A training that has not ended needs its saved state.")
    carrying.forget(run)
