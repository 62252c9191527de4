"""A run as its page shows it: stages, sample grid, curve, checkpoints, words. Reads rows, decides nothing."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.urls import reverse

from characters.models import Character, ReferenceImage
from isengard.engine import catalog, offers
from isengard.engine.capabilities import probe
from isengard.jobs.models import Job
from training import services
from training.models import Sample, TrainingRun

# What a person reads, and the engine stages behind it.
STAGES = (
    ("Load the base model", {"loading_model"}),
    ("Prepare photos", {"preparing_dataset", "encoding"}),
    ("Learn", {"training", "sampling", "denoising", "saving", "saving_checkpoint"}),
    ("Finish the LoRA", {"exporting"}),
)
SMOOTHING = 0.9
POINTS = 2000


def stages(job: Job) -> list[dict[str, str]]:
    now = next((index for index, (_, names) in enumerate(STAGES) if job.stage in names), 0)
    if job.state == Job.State.COMPLETED:
        now = len(STAGES)
    here = {Job.State.RUNNING: "active", Job.State.FAILED: "failed"}.get(Job.State(job.state), "todo")
    return [
        {"label": label, "state": "done" if index < now and job.started_at else here if index == now else "todo"}
        for index, (label, _) in enumerate(STAGES)
    ]


def sample_grid(run: TrainingRun) -> tuple[list[int], list[dict[str, Any]]]:
    """Steps as columns, prompts as rows; None where a picture is not drawn yet."""
    samples = list(run.samples.all())
    steps = sorted({sample.step for sample in samples})
    rows: dict[int, dict[str, Any]] = {}
    for sample in samples:
        row = rows.setdefault(sample.prompt_index, {"prompt": _title(sample), "cells": dict.fromkeys(steps)})
        url = reverse("api-job-sample", args=[run.job.public_id, sample.name])
        row["cells"][sample.step] = {"url": url, "thumb": url, "step": sample.step}
    return steps, [{**rows[index], "cells": list(rows[index]["cells"].values())} for index in sorted(rows)]


def before_after(run: TrainingRun, rows: list[dict[str, Any]]) -> dict[str, str] | None:
    """The first prompt before any learning and at the end, once a run is over; None where nothing can be compared."""
    drawn = [cell for cell in rows[0]["cells"] if cell] if rows else []
    if run.job.state != Job.State.COMPLETED or len(drawn) < 2:
        return None
    return {"prompt": rows[0]["prompt"], "before": drawn[0]["url"], "after": drawn[-1]["url"]}


def _title(sample: Sample) -> str:
    """The prompt; where it does not call the person, what to look for instead."""
    leak = f" (without {sample.run.trigger_word}: this should be somebody else)" if sample.is_leak_check else ""
    return sample.prompt + leak


def checkpoints(run: TrainingRun) -> list[dict[str, Any]]:
    return [
        {"row": row, "url": reverse("api-job-checkpoint", args=[run.job.public_id, row.name])}
        for row in run.checkpoints.order_by("-step")
    ]


def curve(run: TrainingRun) -> dict[str, list[float | None]]:
    """The kept metrics, and the loss smoothed without lag at the start (an average that forgets with 0.9 a step).

    Smoothed over every step; of a long run every nth step is shown, since a screen has no more columns."""
    rows = list(run.job.metrics.values_list("step", "loss", "learning_rate", "speed"))
    stride = max(math.ceil(len(rows) / POINTS), 1)
    smooth: list[float | None] = []
    average, weight = 0.0, 0.0
    for _, loss, _, _ in rows:
        if loss is not None:
            average, weight = SMOOTHING * average + (1 - SMOOTHING) * loss, SMOOTHING * weight + (1 - SMOOTHING)
        smooth.append(average / weight if weight else None)
    # Counted from the end: the newest step is always there.
    kept = slice((len(rows) - 1) % stride, None, stride)
    steps, losses, rates, speeds = ([row[column] for row in rows[kept]] for column in range(4))
    return {"steps": steps, "loss": losses, "smooth": smooth[kept], "learning_rate": rates, "speed": speeds}


def params(run: TrainingRun) -> list[tuple[str, str]]:
    """The frozen parameters with their labels and units, in the catalog's order."""
    declared = catalog.training_params(run.base)
    found = [(param.label, run.params.get(param.name), param.unit) for param in declared]
    return [(label, _words(value, unit)) for label, value, unit in found if value not in (None, [], "")]


def _words(value: Any, unit: str) -> str:
    text = "; ".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()


def log_lines(records: Iterable[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The newest records, without the numbers of single steps, which the chart shows better."""
    lines = [
        {"time": datetime.fromisoformat(record["ts"]), "level": record["level"], "message": record["msg"]}
        for record in records
        if record["level"] != "DEBUG"
    ]
    return lines[-count:]


def base_choices(chosen: str, *, for_training: bool) -> list[dict[str, Any]]:
    """Every base with the reason why it cannot be trained or drawn with here, if so."""
    why_not, machine = offers.why_not_train if for_training else offers.why_not, probe()
    return [
        {"base": base, "checked": base.key == chosen, "reason": why_not(base, settings.MODELS_DIR, machine)}
        for base in catalog.BASES.values()
    ]


def chosen_character(public_id: str, *, synthetic: bool = True) -> dict[str, Any] | None:
    """Whom the form trains: photos used and left out with the reason, and which version it will become."""
    character = Character.objects.filter(public_id=public_id).first()
    if character is None:
        return None
    newest = character.loras.order_by("-version").first()
    photos = character.images.for_training(synthetic=synthetic).count()
    return {
        "character": character,
        "photos": photos,
        **_left_out(character, synthetic),
        "newest": newest,
        "warnings": services.warnings(character, photos),
    }


def _left_out(character: Character, synthetic: bool) -> dict[str, Any]:
    """How many photos are not trained on, why, and where they can be seen; how many synthetic ones there are."""
    blocked = Q(verdict=ReferenceImage.Verdict.BLOCKED)
    counted = character.images.aggregate(
        blocked=Count("pk", blocked),
        reference=Count("pk", Q(split=ReferenceImage.Split.REFERENCE) & ~blocked),
        synthetic=Count("pk", Q(split=ReferenceImage.Split.SYNTHETIC) & ~blocked),
    )
    reasons = [
        (counted["reference"], "for reference only", "split=reference"),
        (counted["synthetic"] if not synthetic else 0, "made by the studio", "split=synthetic"),
        (counted["blocked"], "blocked", "verdict=blocked"),
    ]
    address = f"{character.get_absolute_url()}?tab=photos"
    left_out = [{"count": n, "why": why, "url": f"{address}&{query}"} for n, why, query in reasons if n]
    return {"left_out": left_out, "synthetic": counted["synthetic"]}
