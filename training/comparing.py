"""A comparison as its page shows it: the table, the curves on common steps, samples side by side. Decides nothing."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from isengard.engine import catalog
from isengard.jobs.models import Job
from training import sweeps
from training.curves import SMOOTHING, smoothed
from training.models import Sample, TrainingRun, TrainingSweep

# On one screen more points only cost time; the newest of each run are always there.
POINTS = 400


def runs_of(sweep: TrainingSweep) -> list[TrainingRun]:
    return list(sweep.runs.select_related("job", "lora", "character", "sweep").order_by("id"))


def rows(sweep: TrainingSweep, runs: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """Each run with its values, the loss it stands at (smoothed, the lowest marked) and the colour of its curve."""
    losses = {run.pk: _last(run) for run in runs}
    told = [loss for loss in losses.values() if loss is not None]
    return [
        {
            "run": run,
            "number": number,
            "values": [_word(sweeps.point(run, sweep)[name]) for name in sweep.axes],
            "loss": losses[run.pk],
            "lowest": len(told) > 1 and losses[run.pk] == min(told),
            "lora": getattr(run, "lora", None),
        }
        for number, run in enumerate(runs, start=1)
    ]


def _last(run: TrainingRun) -> float | None:
    smooth = [value for value in _smooth(run.job) if value is not None]
    return smooth[-1] if smooth else None


def _smooth(job: Job) -> list[float | None]:
    return smoothed(list(job.metrics.values_list("loss", flat=True)), SMOOTHING)


def labels(sweep: TrainingSweep) -> list[str]:
    """What the grid varies, as people read it."""
    run = sweep.runs.first()
    declared = {param.name: param.label for param in catalog.training_params(run.base)} if run else {}
    return [declared.get(name, name) for name in sweep.axes]


def series(sweep: TrainingSweep) -> dict[str, list[float | None]]:
    """{steps, run1, run2, …}: smoothed losses on the steps of all, None where a run has none (yet)."""
    curves = {}
    for number, run in enumerate(runs_of(sweep), start=1):
        steps = run.job.metrics.values_list("step", flat=True)
        curves[f"run{number}"] = dict(zip(steps, _smooth(run.job), strict=True))
    every = sorted({step for curve in curves.values() for step in curve})
    stride = max(-(-len(every) // POINTS), 1)
    kept = sorted({*every[::stride], *(max(curve) for curve in curves.values() if curve)})
    return {"steps": [*kept], **{name: [curve.get(step) for step in kept] for name, curve in curves.items()}}


def described(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> str:
    """For the chart: `key:label:style,…`, a style for each number; `labels` name the values of each row."""
    points = [zip(labels, row["values"], strict=True) for row in rows]
    words = [" · ".join(f"{label} {value}" for label, value in point) for point in points]
    named = [(row["number"], text) for row, text in zip(rows, words, strict=True)]
    return ",".join(f"run{number}:{number} · {text}:run-{number}" for number, text in named)


def side_by_side(runs: Sequence[TrainingRun], asked: str) -> dict[str, Any]:
    """Samples at one step, a row for each run and a column for each prompt: {step, steps, prompts, rows}.

    Without a step that was drawn it is the newest that most runs have drawn."""
    drawn: dict[int, dict[tuple[int, int], Sample]] = {}
    prompts: dict[int, str] = {}
    for sample in Sample.objects.filter(run__in=runs).select_related("run__job").order_by("step"):
        drawn.setdefault(sample.step, {})[sample.run_id, sample.prompt_index] = sample
        prompts[sample.prompt_index] = sample.prompt
    steps = sorted(drawn)
    shown = next((step for step in steps if str(step) == asked), _fullest(drawn))
    at = drawn.get(shown, {})
    table = [{"run": run, "cells": [_cell(at.get((run.pk, index))) for index in sorted(prompts)]} for run in runs]
    return {"step": shown, "steps": steps, "prompts": [prompts[index] for index in sorted(prompts)], "rows": table}


def _fullest(drawn: dict[int, dict[tuple[int, int], Sample]]) -> int:
    return max(drawn, key=lambda step: (len(drawn[step]), step), default=0)


def _cell(sample: Sample | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    return {"url": reverse("api-job-sample", args=[sample.run.job.public_id, sample.name]), "sample": sample}


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
