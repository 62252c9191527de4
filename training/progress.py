"""A job's progress as API clients of the original know it, for the event streams of trainings and pictures."""

from typing import Any

from django.utils import timezone

from isengard.jobs.models import TERMINAL, Job

JOB_TYPES = {"training": "training", "generation": "image_generation"}


def shape(job: Job, message: dict[str, Any] | None) -> dict[str, Any]:
    """JobProgressEvent. `message` is what woke the stream: a preview or a new sample gives its address along."""
    return {
        "job_id": job.public_id,
        "job_type": JOB_TYPES.get(job.kind, job.kind),
        "status": job.state,
        "progress": job.percent,
        "message": words(job) or ("connected" if message is None else job.state),
        "current_step": job.step,
        "total_steps": job.total,
        "preview_url": ((message or {}).get("payload") or {}).get("url"),
        "error": job.error_message or None,
        "timestamp": timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def words(job: Job) -> str:
    """What is going on, or after the end what there is to say about it; empty when there is nothing."""
    if job.state in TERMINAL:
        return str(job.result.get("message") or "")
    return job.message or job.stage.replace("_", " ")
