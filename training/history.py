"""What a run takes over from the one that it goes on with, so that its page tells one story from the first step.

Rows are copied and files linked: whichever of the two is deleted, the other stays whole."""

from typing import Any

from django.db.models import Model

from isengard import storage
from isengard.engine import rundir
from isengard.jobs.models import Job, JobMetric
from training import lineage
from training.models import Checkpoint, Sample, TrainingRun

METRIC = ("step", "loss", "learning_rate", "speed", "seconds")
SAMPLE = ("step", "prompt_index", "prompt", "seed", "file", "width", "height")
CHECKPOINT = ("step", "file", "size_bytes", "loss", "pinned", "deleted_because")


def carry(new: TrainingRun) -> None:
    """Curve and samples up to the step after which `new` goes on; of a run that did not finish the checkpoints, too.

    Those of a finished one stay with its version."""
    part = lineage.before(new)
    if part is None or part.run is None:
        return
    old, known = part.run, {"step__lte": part.until}
    rows = old.job.metrics.filter(**known).values(*METRIC)
    JobMetric.objects.bulk_create(JobMetric(job=new.job, **row) for row in rows)
    _copy(Sample, old.samples.filter(**known).values(*SAMPLE), old, new)
    if new.begun_at:
        _copy(Checkpoint, old.checkpoints.filter(**known).values(*CHECKPOINT), old, new)
        rundir.pin(storage.absolute(storage.run_key(new.job.public_id)), _pinned(new))
        Job.objects.filter(pk=new.job_id).update(step=new.begun_at, total=new.params["steps"])
        new.job.refresh_from_db()


def _copy(model: type[Model], rows: Any, old: TrainingRun, new: TrainingRun) -> None:
    """Rows whose file is gone come along only where they say why."""
    kept = []
    for row in rows:
        source = storage.absolute(row["file"])
        moved = row["file"].replace(storage.run_key(old.job.public_id), storage.run_key(new.job.public_id), 1)
        if source.is_file():
            storage.link(source, storage.absolute(moved))
        elif not row.get("deleted_because"):
            continue
        kept.append(model(run=new, **{**row, "file": moved}))
    model._default_manager.bulk_create(kept)


def _pinned(run: TrainingRun) -> list[int]:
    return list(run.checkpoints.filter(pinned=True).values_list("step", flat=True))
