"""What one training leaves for the next: its saved state, the LoRA that another begins from. Files and their rules.

A state goes on with steps and optimizer and needs the very same photos; both are kept until the character has a newer
version (runs of one comparison keep theirs side by side, since the best of them is not known yet)."""

from dataclasses import dataclass
from pathlib import Path

from django.db.models import Q

from isengard import storage
from isengard.engine import rundir
from isengard.jobs.models import Job
from training.freezing import link
from training.models import TrainingRun


@dataclass(frozen=True)
class Beginning:
    """What a run starts from: nothing, the `parent`'s state, or the LoRA file at the storage key `lora`."""

    start: str = TrainingRun.Start.FRESH
    parent: TrainingRun | None = None
    lora: str = ""


def _folder(job: Job) -> Path:
    return storage.absolute(storage.run_key(job.public_id))


def state_of(run: TrainingRun) -> Path | None:
    """The newest saved state of a run, while it is kept together with the photos that it needs."""
    states = rundir.states(_folder(run.job))
    there = all(storage.absolute(photo["file"]).is_file() for photo in run.photos)
    return states[-1] if states and there else None


def bring(beginning: Beginning, job: Job) -> None:
    """Links what the run begins from into its own folder, safe from what is deleted later."""
    if beginning.start == TrainingRun.Start.LONGER and beginning.parent is not None:
        state = state_of(beginning.parent)
        if state is not None:
            link(state, rundir.state(_folder(job), rundir.step_of(state)))
    elif beginning.lora:
        link(storage.absolute(beginning.lora), rundir.initial(_folder(job)))


def beginning_of(run: TrainingRun) -> Beginning:
    """What a run began from, for another try at the same."""
    initial = rundir.initial(_folder(run.job))
    return Beginning(run.start, run.parent, storage.key_of(initial) if initial.is_file() else "")


def forget(run: TrainingRun) -> None:
    """Its state and the photos kept for it: nothing goes on from here any more."""
    for part in ("state", "photos"):
        storage.remove(f"{storage.run_key(run.job.public_id)}/{part}")


def forget_older(run: TrainingRun) -> None:
    """After a run has completed: those before it can no longer be trained longer."""
    others = TrainingRun.objects.filter(character=run.character_id, job__state=Job.State.COMPLETED)
    if run.sweep_id is not None:
        others = others.filter(Q(sweep=None) | ~Q(sweep=run.sweep_id))
    for other in others.exclude(pk=run.pk).select_related("job"):
        forget(other)
