"""Whose steps a training goes on with: those that came before it, each until the step where its part ends.

Reads rows, decides nothing."""

from dataclasses import dataclass

from django.db.models import Max, Q, QuerySet

from training.models import TrainingRun


@dataclass(frozen=True)
class Part:
    """The steps up to `until` (and after the part before it) are `run`'s; None: that training was deleted."""

    run: TrainingRun | None
    until: int


def before(run: TrainingRun) -> Part | None:
    """The training that `run` goes on with; None: it began at its first step."""
    return _unfinished(run) or _finished(run)


def _unfinished(run: TrainingRun) -> Part | None:
    """That which was stopped or failed."""
    return Part(_known().filter(job=run.job.retry_of_id).first(), run.begun_at) if run.begun_at else None


def _finished(run: TrainingRun) -> Part | None:
    """That which is trained longer; whoever goes on with the longer one has the same."""
    if run.start != TrainingRun.Start.LONGER:
        return None
    if run.parent_id is None:
        return None if run.begun_at else Part(None, _brought(run))
    parent = _known().get(pk=run.parent_id)
    return Part(parent, int(parent.params["steps"]))


def _known() -> QuerySet[TrainingRun]:
    return TrainingRun.objects.select_related("job", "lora")


def _brought(run: TrainingRun) -> int:
    """The last step of the samples that it began with: they are older than its own start."""
    old = Q(created_at__lt=run.job.started_at) if run.job.started_at else Q()
    return run.samples.filter(old).aggregate(Max("step"))["step__max"] or 0


def parts(run: TrainingRun) -> list[Part]:
    """Everything before `run`, oldest first; what took no step of its own is left out."""
    finished = _finished(run)
    found = [*(parts(finished.run) if finished and finished.run else ()), *([finished] if finished else ())]
    stopped, one = [], _unfinished(run)
    while one is not None:
        stopped.append(one)
        one = _unfinished(one.run) if one.run else None
    found += reversed(stopped)
    return [part for place, part in enumerate(found) if part.until > (found[place - 1].until if place else 0)]


def family(run: TrainingRun) -> list[TrainingRun]:
    """`run` and those before it that are still there, newest first."""
    return [run, *(part.run for part in reversed(parts(run)) if part.run)]
