"""The numbers of a run as arrays for its charts: loss, rate, speed, the machine, and where it was taken up again.

Reads rows, decides nothing. A screen has fewer columns than a long run has steps, so every chart is thinned here, in
such a way that no peak gets lost."""

from collections.abc import Sequence
from typing import Any

from isengard.jobs.models import Job, JobEvent
from training import lineage
from training.models import TrainingRun

SMOOTHING = 0.9
ROUGHEST, SMOOTHEST = 0.0, 0.995
BUCKETS = 800
MINUTE, GB = 60.0, 1e9
# What the machine's chart calls a column of JobStat, and what one unit of it is.
GAUGES = {"cpu": ("cpu_percent", 1.0), "gpu": ("gpu_percent", 1.0), "ram": ("rss_bytes", GB)}
GAUGES |= {"vram": ("vram_bytes", GB), "celsius": ("celsius", 1.0), "watts": ("watts", 1.0)}
Numbers = list[float | None]


def loss(
    run: TrainingRun, *, smoothing: float = SMOOTHING, first: int | None = None, last: int | None = None
) -> dict[str, Any]:
    """Metrics from step `first` to `last`: {steps, loss, smooth, learning_rate, speed, resumed}.

    Smoothed over every step, also those before `first`. `smoothing`: the share of the average that a step keeps.
    `resumed` has the smoothed loss where the run was taken up again, and None elsewhere."""
    rows = list(run.job.metrics.values_list("step", "loss", "learning_rate", "speed"))
    smooth = smoothed([row[1] for row in rows], smoothing)
    inside = [
        index
        for index, row in enumerate(rows)
        if (first is None or row[0] >= first) and (last is None or row[0] <= last)
    ]
    kept = [inside[place] for place in thinned([rows[index][1] for index in inside])]
    steps = [rows[index][0] for index in kept]
    losses, rates, speeds = ([rows[index][column] for index in kept] for column in range(1, 4))
    means = [smooth[index] for index in kept]
    marks = [found["step"] for found in interruptions(run.job, run.steps_before)]
    marks += [part.until for part in lineage.parts(run)]
    resumed = _at(steps, means, [step + 1 for step in marks])
    shown = {"steps": steps, "loss": losses, "smooth": means, "resumed": resumed}
    return {**shown, "learning_rate": rates, "speed": speeds}


def _at(steps: list[int], values: Numbers, wanted: list[int]) -> Numbers:
    """The values at the first of the steps that are not before a wanted one; None at all others."""
    places = {next((place for place, step in enumerate(steps) if step >= one), None) for one in wanted}
    return [value if place in places else None for place, value in enumerate(values)]


def smoothing_of(text: str) -> float:
    """As a form says it, within what still shows something; the default where it is no number."""
    try:
        return min(max(ROUGHEST, float(text)), SMOOTHEST)
    except ValueError:
        return SMOOTHING


def smoothed(values: Sequence[float | None], smoothing: float) -> Numbers:
    """An average that forgets with `smoothing` a step, without lag at its start: divided by the weight it has seen."""
    found: Numbers = []
    average, weight = 0.0, 0.0
    for value in values:
        if value is not None:
            average, weight = smoothing * average + (1 - smoothing) * value, smoothing * weight + (1 - smoothing)
        found.append(average / weight if weight else None)
    return found


def thinned(values: Sequence[float | None], buckets: int = BUCKETS) -> list[int]:
    """Places to draw, in order: of each of `buckets` equal parts the lowest and the highest, and always the newest."""
    if len(values) <= 2 * buckets:
        return list(range(len(values)))
    kept = {len(values) - 1}
    for number in range(buckets):
        part = range(number * len(values) // buckets, (number + 1) * len(values) // buckets)
        told = [place for place in part if values[place] is not None] or [part[0]]
        kept |= {min(told, key=lambda place: values[place] or 0.0), max(told, key=lambda place: values[place] or 0.0)}
    return sorted(kept)


def interruptions(job: Job, before: int = 0) -> list[dict[str, Any]]:
    """Where the job was taken up again after a pause, a restart or a lost worker: [{step, reason}], first to last.

    A resume state lies beside every checkpoint, so the newest checkpoint before the new attempt is where it began;
    until there is one, `before`: the steps of the training that it goes on with."""
    found, step, reason = [], before, ""
    events = JobEvent.objects.filter(job=job, kind__in=["state", "checkpoint"]).order_by("seq")
    for kind, told in events.values_list("kind", "payload"):
        if kind == "checkpoint":
            step = int(told["step"])
        elif told.get("reason"):
            reason = str(told["reason"]).removeprefix("Starting again: ")
        elif "attempt" in told and reason:
            found.append({"step": step, "reason": reason})
            reason = ""
    return found


def machine(job: Job) -> dict[str, Numbers]:
    """What the machine did, over the minutes since the job's start: {steps (minutes), cpu, gpu, ram, vram, …}.

    Percent, gigabytes, °C and W; a gauge that this machine lacks is all None."""
    columns = [column for column, _ in GAUGES.values()]
    rows = _averaged(list(job.stats.values_list("seconds", *columns)))
    gauges = {
        name: [None if row[place] is None else row[place] / unit for row in rows]
        for place, (name, (_, unit)) in enumerate(GAUGES.items(), start=1)
    }
    return {"steps": [row[0] / MINUTE for row in rows], **gauges}


def _averaged(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Means of as many neighbours as bring the rows down to the buckets."""
    width = -(-len(rows) // BUCKETS)
    if width < 2:
        return rows
    groups = [rows[at : at + width] for at in range(0, len(rows), width)]
    return [tuple(_mean(column) for column in zip(*group, strict=True)) for group in groups]


def _mean(column: Sequence[Any]) -> float | None:
    told = [value for value in column if value is not None]
    return sum(told) / len(told) if told else None
