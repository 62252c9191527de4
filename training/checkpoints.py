"""Checkpoints as people see and keep them: why each is kept or gone, what they cost, pins. Makes no LoRA of them
(`loras.publish_checkpoint` does) and deletes none (the engine's policy does)."""

from typing import Any

from django.db import transaction
from django.urls import reverse

from isengard import storage
from isengard.engine import retention, rundir
from isengard.errors import Conflict
from training.models import Checkpoint, Lora, TrainingRun

# The engine's reasons, as a person reads them.
REASONS = {
    retention.PINNED: "pinned by you",
    retention.NEWEST: "the newest",
    retention.BEST: "lowest loss so far",
    retention.SPACED: "spread over the training",
}


def pin(*, checkpoint: Checkpoint, pinned: bool) -> Checkpoint:
    """Keeps a checkpoint whatever the policy says, or leaves it to the policy again (from the next checkpoint on).

    Conflict: its file is gone already."""
    with transaction.atomic():
        run = TrainingRun.objects.select_for_update(no_key=True).get(pk=checkpoint.run_id)
        checkpoint.refresh_from_db()
        folder = storage.absolute(storage.run_key(run.job.public_id))
        if pinned and (checkpoint.deleted_because or not storage.absolute(checkpoint.file).is_file()):
            raise Conflict("checkpoint_gone", f"Step {checkpoint.step} was deleted and cannot be kept any more.")
        Checkpoint.objects.filter(pk=checkpoint.pk).update(pinned=pinned)
        checkpoint.pinned = pinned
        # The file before the commit: a training that runs must not delete what the page calls pinned.
        rundir.pin(folder, run.checkpoints.filter(pinned=True).values_list("step", flat=True))
    return checkpoint


def shown(run: TrainingRun) -> dict[str, Any]:
    """Rows for the page, newest first: {kept: [{row, url, why, lora}], deleted: [row], bytes, first}.

    `first`: the step of the first one."""
    rows = list(run.checkpoints.order_by("-step"))
    kept = [row for row in rows if not row.deleted_because]
    reasons = retention.keepers(
        {row.step: row.loss for row in kept},
        {row.step for row in kept if row.pinned},
        max(len(kept), 1),
    )
    published = {lora.checkpoint_id: lora for lora in Lora.objects.filter(checkpoint__in=kept)} if kept else {}
    return {
        "kept": [_shown(run, row, reasons[row.step], published.get(row.pk)) for row in kept],
        "deleted": [row for row in rows if row.deleted_because],
        "bytes": sum(row.size_bytes for row in kept),
        "first": run.first_due("checkpoint_every_n_steps"),
    }


def _shown(run: TrainingRun, row: Checkpoint, reason: str, lora: Lora | None) -> dict[str, Any]:
    url = reverse("api-job-checkpoint", args=[run.job.public_id, row.name])
    return {"row": row, "url": url, "why": REASONS[reason], "lora": lora}
