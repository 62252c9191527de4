"""What the engine says of a training, as rows: samples, checkpoints, ticks of the pipeline check, the probe.

Every function writes idempotently (an interrupted run says things twice) and returns what the job's event keeps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.urls import reverse

from isengard import storage
from training.models import Checkpoint, Sample, TrainingRun

Event = dict[str, Any]
PROBED = ("seconds_per_step", "peak_vram_bytes", "peak_rss_bytes")


def sample(run: TrainingRun, event: Event) -> Event:
    fields = {name: event[name] for name in ("prompt", "seed", "width", "height")}
    key = storage.key_of(Path(event["path"]))
    drawn, _ = Sample.objects.update_or_create(
        run=run, step=event["step"], prompt_index=event["prompt_index"], defaults={**fields, "file": key}
    )
    url = reverse("api-job-sample", args=[run.job.public_id, drawn.name])
    return {"step": drawn.step, "prompt_index": drawn.prompt_index, "name": drawn.name, "url": url, **fields}


def checkpoint(run: TrainingRun, event: Event) -> Event:
    """The new one, and which others the engine's policy has deleted to make room: their rows stay and say why."""
    facts = {"size_bytes": event["size_bytes"], "loss": event.get("loss"), "deleted_because": ""}
    key = storage.key_of(Path(event["path"]))
    saved, _ = Checkpoint.objects.update_or_create(run=run, step=event["step"], defaults={"file": key, **facts})
    for other in run.checkpoints.filter(deleted_because="").exclude(pk=saved.pk):
        if not storage.absolute(other.file).is_file():
            Checkpoint.objects.filter(pk=other.pk).update(deleted_because=_why_gone(run, saved))
    return {"step": saved.step, "name": saved.name, "size_bytes": saved.size_bytes, "loss": saved.loss}


def _why_gone(run: TrainingRun, newest: Checkpoint) -> str:
    return f"made room for step {newest.step}: {run.params['max_checkpoints']} are kept besides pinned ones"


def check(run: TrainingRun, event: Event) -> Event:
    """A tick takes the place of its earlier state; a new one comes last."""
    tick = {name: event[name] for name in ("name", "state", "text", "seconds")}
    names = [known["name"] for known in run.checks]
    place = names.index(tick["name"]) if tick["name"] in names else len(names)
    run.checks = [*run.checks[:place], tick, *run.checks[place + 1 :]]
    run.save(update_fields=["checks"])
    return tick


def probe(run: TrainingRun, event: Event) -> Event:
    run.measured = {**run.measured, "probe": {name: event[name] for name in PROBED if event.get(name) is not None}}
    run.save(update_fields=["measured"])
    return dict(run.measured["probe"])


HEARD: dict[str, Callable[[TrainingRun, Event], Event]] = {
    "sample": sample,
    "checkpoint": checkpoint,
    "check": check,
    "probe": probe,
}
