"""Cancelling one picture of a request, while it waits or is being drawn. The others go on. Knows no request of HTTP."""

from django.db import transaction

from generation.models import Generation, Output
from isengard.engine.events import SKIP
from isengard.errors import Conflict, NotFound
from isengard.jobs import events
from isengard.jobs import services as jobs
from isengard.jobs.models import Job


def strike(*, generation: Generation, index: int) -> Generation:
    """The picture is not drawn, or no further; with the last one of a request the whole request is cancelled. Asking
    twice is fine.

    NotFound: the request has no such picture. Conflict: it is drawn already, or the request has ended or is ending."""
    with transaction.atomic():
        # What the engine has drawn is written under the same lock.
        job = Job.objects.select_for_update(no_key=True).get(pk=generation.job_id)
        current = Generation.objects.get(pk=generation.pk)
        _require_open(current, job, index)
        if index not in current.struck:
            _strike(current, job, index)
    return current


def _require_open(generation: Generation, job: Job, index: int) -> None:
    if not 0 <= index < generation.count:
        raise NotFound("not_found", f"{job.public_id} has no picture {index}.")
    if not job.is_active or job.is_cancelling:
        ended = "is being cancelled" if job.is_cancelling else f"is {job.state}"
        raise Conflict("already_ended", f"That picture cannot be cancelled any more: its request {ended}.")
    if Output.everything.filter(generation=generation, index=index).exists():
        raise Conflict("already_drawn", "That picture is drawn already. Delete it instead.")


def _strike(generation: Generation, job: Job, index: int) -> None:
    generation.struck = sorted({*generation.struck, index})
    generation.save(update_fields=["struck"])
    if len(generation.struck) == generation.count:
        jobs.request_cancel(job=job)
        return
    jobs.tell(job=job, what=f"{SKIP}{index}")
    events.append(job, "picture", {"index": index, "state": "cancelled"})


def kept_out(generation: Generation) -> list[int]:
    """Which pictures stay out when the request is tried again: none, where it was cancelled as a whole that way."""
    return [] if len(generation.struck) == generation.count else generation.struck
