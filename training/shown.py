"""A run as its page shows it: stages, checks, sample grid, comparison, words. Reads rows, decides nothing."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.urls import reverse

from characters.models import Character, ReferenceImage
from isengard.engine import catalog, offers
from isengard.engine.capabilities import probe
from isengard.jobs.models import Job
from training import lineage, repeating, services
from training.models import Sample, TrainingRun

# What a person reads, and the engine stages behind it.
STAGES = (
    ("Load the base model", {"loading_model"}),
    ("Prepare photos", {"preparing_dataset", "encoding"}),
    ("Check every part", {"checking"}),
    ("Learn", {"training", "sampling", "denoising", "saving", "saving_checkpoint"}),
    ("Finish the LoRA", {"exporting"}),
)
# The pipeline check's ticks in the order in which the engine makes them.
CHECKS = {
    "text": "Text encoders",
    "photos": "Photos",
    "vae": "Autoencoder",
    "step": "Training steps",
    "memory": "Memory",
    "sample": "First pictures",
}
SLOW_CHECK = 0.1
MOST_PHOTOS = 50
BEFORE_LEARNING = {"", "loading_model", "preparing_dataset", "encoding", "checking"}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def stages(job: Job) -> list[dict[str, str]]:
    stage = job.stage if job.state == Job.State.RUNNING else _last_stage(job)
    now = next((index for index, (_, names) in enumerate(STAGES) if stage in names), 0)
    if job.state == Job.State.COMPLETED:
        now = len(STAGES)
    here = {Job.State.RUNNING: "active", Job.State.FAILED: "failed"}.get(Job.State(job.state), "todo")
    return [
        {"label": label, "state": "done" if index < now and job.started_at else here if index == now else "todo"}
        for index, (label, _) in enumerate(STAGES)
    ]


def _last_stage(job: Job) -> str:
    """The one it was in when it ended or paused: the row itself no longer says so."""
    newest = job.events.filter(kind="stage").order_by("-seq").values_list("payload", flat=True).first()
    return str(newest["stage"]) if newest else ""


def sample_grid(run: TrainingRun) -> tuple[list[int], list[dict[str, Any]]]:
    """Steps as columns, prompts as rows; None where a picture is not drawn yet."""
    samples = list(run.samples.all())
    steps = sorted({sample.step for sample in samples})
    rows: dict[int, dict[str, Any]] = {}
    for sample in samples:
        row = rows.setdefault(
            sample.prompt_index, {"prompt": _title(sample), "index": sample.prompt_index, "cells": dict.fromkeys(steps)}
        )
        url = reverse("api-job-sample", args=[run.job.public_id, sample.name])
        row["cells"][sample.step] = {"url": url, "thumb": url, "step": sample.step}
    return steps, [{**rows[index], "cells": list(rows[index]["cells"].values())} for index in sorted(rows)]


def sample_parts(run: TrainingRun, steps: list[int]) -> list[dict[str, Any]]:
    """Whose columns those are, where `run` goes on with other trainings: [{label, url, first, count, until}].

    Oldest first; `first`: the place of its first column. Empty where it has drawn them all itself."""
    told, first = [], 0
    for part in lineage.parts(run):
        if count := sum(step <= part.until for step in steps[first:]):
            told.append({**_part(part.run), "first": first, "count": count, "until": part.until})
            first += count
    here = {"label": "This training", "url": "", "first": first, "count": len(steps) - first, "until": None}
    return [*told, here] if told else []


def _part(run: TrainingRun | None) -> dict[str, str]:
    if run is None:
        return {"label": "An earlier training", "url": ""}
    return {"label": f"v{run.version}" if run.version else run.job.public_id, "url": run.get_absolute_url()}


def compare(run: TrainingRun, rows: list[dict[str, Any]], asked: Mapping[str, str]) -> dict[str, Any] | None:
    """Two samples of one prompt under a slider, or a photo and a sample: by default the first ever and the newest.

    `asked`: prompt (its place), left (a step or a photo's id) and right (a step); anything else means the default.
    None: there are not two samples."""
    drawable = [row for row in rows if sum(cell is not None for cell in row["cells"]) > 1]
    if not drawable:
        return None
    row = next((row for row in drawable if str(row["index"]) == asked.get("prompt")), drawable[0])
    drawn, kept = [cell for cell in row["cells"] if cell], repeating.kept_steps(run)
    choices = [_choice(cell["step"], cell["url"], cell["step"] in kept) for cell in drawn]
    photos = _photos(run)
    left = next((one for one in [*choices, *photos] if one["key"] == asked.get("left")), choices[0])
    right = next((one for one in choices if one["key"] == asked.get("right")), choices[-1])
    sides = {"left": left, "right": right, "follows": asked.get("right") != right["key"]}
    return {"row": row, "rows": drawable, "choices": choices, "photos": photos, **sides}


def _choice(step: int, url: str, kept: bool) -> dict[str, Any]:
    """`why_not` says why this sample cannot be drawn again, empty when it can."""
    told = {"key": str(step), "label": _step_label(step), "url": url}
    return {**told, "step": step, "why_not": "" if kept else repeating.why_not(step)}


def _step_label(step: int) -> str:
    return f"step {step}" if step else "before training"


def _photos(run: TrainingRun) -> list[dict[str, str]]:
    """What the run learns from, as far as it still is in the dataset."""
    ids = [photo["id"] for photo in run.photos][:MOST_PHOTOS]
    found = ReferenceImage.objects.filter(public_id__in=ids).select_related("character").order_by("pk")
    return [{"key": image.public_id, "label": image.name, "url": image.thumb_512} for image in found]


def _title(sample: Sample) -> str:
    """The prompt; where it does not call the person, what to look for instead."""
    leak = f" (without {sample.run.trigger_word}: this should be somebody else)" if sample.is_leak_check else ""
    return sample.prompt + leak


def checks(run: TrainingRun) -> list[dict[str, str]]:
    """The pipeline check's ticks in their order, those that are still to come too; empty before it begins."""
    told = {tick["name"]: tick for tick in run.checks}
    # Where it was stopped or paused meanwhile, nothing has failed.
    begun = {Job.State.RUNNING: "active", Job.State.FAILED: "failed"}.get(Job.State(run.job.state), "todo")
    marks = {"ok": "done", "running": begun, "failed": "failed", "skipped": "skipped"}
    ticks = []
    for name, label in CHECKS.items():
        tick = told.get(name, {"state": "", "text": "", "seconds": 0})
        seconds = f"{tick['seconds']:.1f} s" if tick["seconds"] >= SLOW_CHECK else ""
        ticks.append({"label": label, "state": marks.get(tick["state"], "todo"), "text": tick["text"], "took": seconds})
    return ticks if told else []


def checks_matter(job: Job) -> bool:
    """Whether the ticks are what there is to see: before the first step, and when it failed."""
    before = job.state == Job.State.RUNNING and job.stage in BEFORE_LEARNING
    return before or job.state == Job.State.FAILED


def expected_speed(run: TrainingRun) -> float | None:
    """Steps a second: what the plan said at submit, else what the probe's step took. None: nobody foretold it."""
    found = run.plan.get("seconds_per_step") or run.measured.get("probe", {}).get("seconds_per_step")
    return 1 / found if found else None


def params(run: TrainingRun) -> list[tuple[str, str]]:
    """The frozen parameters with their labels and units, in the catalog's order."""
    declared = catalog.training_params(run.base)
    found = [(param.label, run.params.get(param.name), param.unit) for param in declared]
    return [(label, _words(value, unit)) for label, value, unit in found if value not in (None, [], "")]


def _words(value: Any, unit: str) -> str:
    text = "; ".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()


def differences(run: TrainingRun) -> dict[str, Any] | None:
    """What is set otherwise than in the training before: of the one it goes on with, else of the same character.

    {run, rows: [{label, before, now}]}; None for a character's first training."""
    began = TrainingRun.objects.filter(job__started_at__isnull=False)
    earlier = began.filter(character=run.character_id, pk__lt=run.pk).order_by("-pk")
    before = began.filter(job=run.job.retry_of_id).first() if run.begun_at else run.parent
    before = before or earlier.first()
    if before is None:
        return None
    old, new = (dict(settings_of(one)) for one in (before, run))
    rows = [
        {"label": label, "before": old.get(label, "–"), "now": new.get(label, "–")}
        for label in {**new, **old}
        if old.get(label) != new.get(label)
    ]
    return {"run": before, "rows": rows}


def settings_of(run: TrainingRun) -> list[tuple[str, str]]:
    """Everything that a training was given, as words."""
    photos = str(len(run.photos))
    return [
        ("Base model", catalog.get(run.base).label),
        ("Preset", run.preset_title),
        ("Trigger word", run.trigger_word),
        ("Photos", photos),
        *params(run),
    ]


def log_lines(records: Iterable[dict[str, Any]], count: int, level: str = "INFO") -> list[dict[str, Any]]:
    """The newest records of a level and worse; by default not the numbers of single steps, which the chart shows."""
    wanted = LEVELS[LEVELS.index(level) if level in LEVELS else 1 :]
    lines = [
        {"time": datetime.fromisoformat(record["ts"]), "level": record["level"], "message": record["msg"]}
        for record in records
        if record["level"] in wanted
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
        "others_train": character.training_runs.filter(job__in=Job.objects.active()).exists(),
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
