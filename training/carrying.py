"""What one training leaves for the next: its saved state, the LoRA that another begins from. Files and their rules.

A state goes on with steps and optimizer and needs the very same photos; both are kept, also of a training that was
stopped or failed, until the character has a newer version (runs of one comparison keep theirs side by side, since the
best of them is not known yet), until a later try has got further, or until somebody deletes them."""

from dataclasses import dataclass
from pathlib import Path

from django.db.models import Q

from isengard import storage
from isengard.engine import rundir
from isengard.errors import Conflict
from isengard.jobs.models import Job
from training.models import TrainingRun


@dataclass(frozen=True)
class Beginning:
    """What a run starts from: nothing, the LoRA file at the storage key `lora`, or the saved state at the key `state`.

    `parent`: the version that it continues. `step`: the one after which it goes on with a run that did not finish."""

    start: str = TrainingRun.Start.FRESH
    parent: TrainingRun | None = None
    lora: str = ""
    state: str = ""
    step: int = 0


def _folder(job: Job) -> Path:
    return storage.absolute(storage.run_key(job.public_id))


def state_of(run: TrainingRun) -> Path | None:
    """The newest saved state of a run, while it is kept together with the photos that it needs."""
    states = rundir.states(_folder(run.job))
    there = all(storage.absolute(photo["file"]).is_file() for photo in run.photos)
    return states[-1] if states and there else None


def bring(beginning: Beginning, job: Job) -> None:
    """Links what the run begins from into its own folder, safe from what is deleted later. Conflict: it is gone."""
    if beginning.state:
        state = storage.absolute(beginning.state)
        _link(state, rundir.state(_folder(job), rundir.step_of(state)))
    if beginning.lora:
        _link(storage.absolute(beginning.lora), rundir.initial(_folder(job)))


def _link(source: Path, target: Path) -> None:
    try:
        storage.link(source, target)
    except FileNotFoundError as error:
        raise Conflict("no_state", "What this training was to begin from was deleted a moment ago.") from error


def longer(parent: TrainingRun) -> Beginning:
    """Going on with a finished run. Conflict: its state is gone."""
    if (state := state_of(parent)) is None:
        raise Conflict("no_state", "The training that this one went on with is gone. Start a new version instead.")
    return Beginning(TrainingRun.Start.LONGER, parent, state=storage.key_of(state))


def beginning_of(run: TrainingRun) -> Beginning:
    """What a run began from, for another try at the same from the start. Conflict: that is gone."""
    if run.start == TrainingRun.Start.LONGER:
        if run.parent is None:
            raise Conflict("no_state", "The training that this one went on with is gone. Start a new version instead.")
        return longer(run.parent)
    return Beginning(run.start, run.parent, _initial_of(run))


def where_it_ended(run: TrainingRun) -> Beginning | None:
    """The newest saved state of a run that did not finish; None: there is none, or its photos are gone."""
    if (state := state_of(run)) is None:
        return None
    return Beginning(run.start, run.parent, _initial_of(run), storage.key_of(state), rundir.step_of(state))


def _initial_of(run: TrainingRun) -> str:
    initial = rundir.initial(_folder(run.job))
    return storage.key_of(initial) if initial.is_file() else ""


def forget(run: TrainingRun) -> None:
    """Nothing goes on from here any more: its state, and of a finished run the photos too, which only that needed."""
    folder = storage.run_key(run.job.public_id)
    storage.remove(f"{folder}/state")
    if run.job.state == Job.State.COMPLETED:
        storage.remove(f"{folder}/photos")


def forget_older(run: TrainingRun) -> None:
    """After a run has completed: those before it go on no more."""
    unfinished = Q(job__state__in=[Job.State.FAILED, Job.State.CANCELLED], pk__lt=run.pk)
    others = TrainingRun.objects.filter(unfinished | Q(job__state=Job.State.COMPLETED), character=run.character_id)
    if run.sweep_id is not None:
        others = others.filter(Q(sweep=None) | ~Q(sweep=run.sweep_id))
    for other in others.exclude(pk=run.pk).select_related("job"):
        forget(other)


def forget_overtaken(run: TrainingRun) -> None:
    """After a run has ended that went on with another and got further: the state it began from is not needed."""
    states, before = rundir.states(_folder(run.job)), run.job.retry_of
    if run.begun_at and before is not None and states and rundir.step_of(states[-1]) > run.begun_at:
        storage.remove(f"{storage.run_key(before.public_id)}/state")
