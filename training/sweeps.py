"""Comparisons: a grid of trainings that differ in one or two parameters, started together, of which the best is kept.

Plain values in, rows out."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any

from django.db import transaction

from characters.models import Character
from isengard import storage
from isengard.engine import catalog
from isengard.engine.params import BadParam, Param
from isengard.errors import Conflict, Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import ACTIVE
from training import carrying, services
from training.models import Lora, TrainingRun, TrainingSweep

MOST_RUNS = 12
MOST_AXES = 2
Axes = dict[str, list[Any]]


def comparable(base: str) -> list[Param]:
    """The parameters that a grid can vary: numbers and choices."""
    return [param for param in catalog.training_params(base) if param.type in {"int", "float", "enum"}]


def cleaned(base: str, axes: Mapping[str, Sequence[Any]]) -> Axes:
    """The grid in the parameters' own types. Invalid: an unknown parameter, a value out of range or said twice, or a
    grid of one training or of too many."""
    known = {param.name: param for param in comparable(base)}
    if not axes or len(axes) > MOST_AXES:
        raise Invalid("bad_grid", "A comparison varies one parameter or two.")
    found: Axes = {}
    for name, values in axes.items():
        if name not in known:
            raise Invalid("bad_grid", f"{name} cannot be compared. Choose one of {', '.join(known)}.")
        found[name] = _values(known[name], values)
    if not 2 <= size(found) <= MOST_RUNS:
        raise Invalid("bad_grid", f"This would start {size(found)} trainings; a comparison has 2 to {MOST_RUNS}.")
    return found


def size(grid: Axes) -> int:
    """How many trainings a grid is."""
    count = 1
    for values in grid.values():
        count *= len(values)
    return count


def _values(param: Param, values: Sequence[Any]) -> list[Any]:
    try:
        found = [param.clean(value) for value in values if value not in (None, "")]
    except BadParam as error:
        raise Invalid("bad_grid", f"{param.label}: {error}") from error
    if len(set(found)) < len(found):
        raise Invalid("bad_grid", f"A value of {param.label} is there twice.")
    if not found:
        raise Invalid("bad_grid", f"Say which values of {param.label} to try.")
    return found


def start(
    *,
    character: Character,
    preset: str,
    base: str,
    values: dict[str, Any],
    axes: Mapping[str, Sequence[Any]],
    synthetic: bool = True,
    correlation_id: str = "",
) -> TrainingSweep:
    """All trainings of the grid, queued together or not at all. Invalid, Conflict and Unavailable as for one."""
    grid = cleaned(base, axes)
    with transaction.atomic(), ExitStack() as undo:
        sweep = TrainingSweep.objects.create(character=character, axes=grid)
        for point in product(*grid.values()):
            chosen = dict(zip(grid, point, strict=True))
            run = services.start_training(
                character=character,
                preset=preset,
                base=base,
                values={**values, **chosen},
                synthetic=synthetic,
                correlation_id=correlation_id,
                sweep=sweep,
                differs=words(base, chosen),
            )
            # Rows are rolled back when a later one fails; folders are not.
            undo.callback(storage.remove, storage.run_key(run.job.public_id))
        undo.pop_all()
    return sweep


def words(base: str, chosen: dict[str, Any]) -> str:
    """E.g. "LoRA rank 8, Learning rate 0.0001"."""
    labels = {param.name: param.label for param in catalog.training_params(base)}
    return ", ".join(f"{labels.get(name, name)} {_word(value)}" for name, value in chosen.items())


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def point(run: TrainingRun, sweep: TrainingSweep) -> dict[str, Any]:
    """The values of the grid that are this run's."""
    return {name: run.params.get(name) for name in sweep.axes}


def keep(*, sweep: TrainingSweep, best: TrainingRun) -> TrainingRun:
    """Makes one run's LoRA the active version, cancels the runs that have not ended, and deletes the others' LoRAs and
    checkpoints. Their curves and samples stay, so that the choice can be understood later.

    Conflict: that run has no LoRA (yet)."""
    lora = Lora.objects.filter(run=best).first()
    if lora is None or best.sweep_id != sweep.pk:
        raise Conflict("no_lora", "Only a finished training of this comparison, with its LoRA, can be kept.")
    others = sweep.runs.exclude(pk=best.pk).select_related("job")
    for run in others.filter(job__state__in=ACTIVE):
        jobs.request_cancel(job=run.job)
    for run in others:
        _drop(run)
    services.set_active(lora=lora)
    return best


def _drop(run: TrainingRun) -> None:
    for lora in Lora.objects.filter(run=run):
        services.delete_lora(lora=lora)
    for saved in run.checkpoints.filter(deleted_because="", pinned=False, lora=None):
        storage.remove(saved.file)
        saved.deleted_because = "Another training of its comparison was kept"
        saved.save(update_fields=["deleted_because"])
    if not run.job.is_active:
        carrying.forget(run)
