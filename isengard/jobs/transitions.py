"""The only writer of `Job.state`: conditional updates on (id, fence, allowed states) that also append the state event.

Every function says whether *this* caller made the change. Terminal states never change. Times are the database's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Greatest, Now

from isengard.jobs import events
from isengard.jobs.models import Job, JobQuerySet

# One statement, so that two workers never see the same row: the loser skips the locked one and takes the next.
CLAIM = """
    UPDATE jobs_job
    SET state = 'running', fence = fence + 1, attempts = attempts + 1, last_seq = last_seq + 1, owner = %(owner)s,
        lease_until = STATEMENT_TIMESTAMP() + %(lease)s, started_at = COALESCE(started_at, STATEMENT_TIMESTAMP()),
        stage = '', message = '', speed = NULL, eta_seconds = NULL, asked = '[]'
    WHERE id = (
        SELECT id FROM jobs_job WHERE state = 'queued' AND held_at IS NULL AND lane = %(lane)s
        ORDER BY priority, position, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING *
"""


class LostJob(Exception):
    """The job is no longer ours (lease taken, cancelled elsewhere): stop the engine and write nothing."""


def lease_end() -> Combinable:
    lease = timedelta(seconds=settings.JOB_LEASE_SECONDS)
    return ExpressionWrapper(Now() + lease, output_field=DateTimeField())


def claim(lane: str, owner: str) -> Job | None:
    """The next queued job of a lane (gpu or cpu), now running under a fresh fence; None when none is queued."""
    lease = timedelta(seconds=settings.JOB_LEASE_SECONDS)
    with transaction.atomic():
        jobs = list(Job.objects.raw(CLAIM, {"owner": owner, "lane": lane, "lease": lease}))
        if not jobs:
            return None
        events.record(jobs[0], "state", {"state": Job.State.RUNNING, "attempt": jobs[0].attempts})
        return jobs[0]


@contextmanager
def held(job: Job) -> Iterator[Job]:
    """A transaction that holds the running job's row under our fence, read afresh. LostJob: it is not ours any more."""
    with transaction.atomic():
        mine = ours(job).select_for_update(no_key=True).first()
        if mine is None:
            raise LostJob(job.public_id)
        yield mine


def ours(job: Job) -> JobQuerySet:
    """The rows (one or none) a holder of this claim may write."""
    return Job.objects.running().filter(pk=job.pk, fence=job.fence)


def complete(job: Job, result: dict[str, Any]) -> bool:
    """running → completed. False: lost, or the user asked to cancel first."""
    return _end(job, Job.State.COMPLETED, Q(cancel_requested_at=None), result=result, step=F("total"), eta_seconds=0)


def fail(job: Job, *, code: str, message: str, retryable: bool, tail: str = "") -> bool:
    """running → failed, with a sentence for the user. False: lost, or the user asked to cancel first."""
    error = {"error_code": code, "error_message": message, "error_retryable": retryable, "error_tail": tail}
    return _end(job, Job.State.FAILED, Q(cancel_requested_at=None), **error)


def cancel(job: Job) -> bool:
    """running → cancelled, once the engine is gone. False: lost, or nobody asked for it."""
    return _end(job, Job.State.CANCELLED, Q(cancel_requested_at__isnull=False))


def cancel_queued(job: Job) -> bool:
    """queued → cancelled. False: a worker was faster."""
    ends: dict[str, Any] = {"cancel_requested_at": Now(), "finished_at": Now(), "held_at": None, "message": ""}
    return _move(job, Q(state=Job.State.QUEUED), Job.State.CANCELLED, **ends)


def ask_to_cancel(job: Job) -> bool:
    """Raises the flag that the worker polls. False: not running, or raised already."""
    with transaction.atomic():
        flagged = Job.objects.running().filter(pk=job.pk, cancel_requested_at=None)
        if not flagged.update(cancel_requested_at=Now()):
            return False
        job.refresh_from_db()
        events.append(job, "state", {"state": job.state, "cancelling": True})
        return True


def hold(job: Job) -> bool:
    """Pauses: no worker takes the job, and one that runs it sees the flag, saves and puts it back in the queue.

    False: it has ended, is to be cancelled, or is paused already."""
    return _flag(job, Job.objects.active().filter(held_at=None, cancel_requested_at=None), held_at=Now())


def release(job: Job) -> bool:
    """Takes a pause back. False: the job was not paused, or has ended."""
    return _flag(job, Job.objects.active().exclude(held_at=None), held_at=None)


def _flag(job: Job, allowed: JobQuerySet, **fields: Any) -> bool:
    """Writes on a job whose state stays as it is, and tells of it."""
    with transaction.atomic():
        if not allowed.filter(pk=job.pk).update(**fields):
            return False
        job.refresh_from_db()
        events.append(job, "state", {"state": job.state, "held": job.held_at is not None})
        return True


def take_asked(job: Job) -> list[str]:
    """What a user asked of our running job since the last call; every wish is taken once."""
    with transaction.atomic():
        mine = ours(job).select_for_update(no_key=True).first()
        if mine is None or not mine.asked:
            return []
        Job.objects.filter(pk=mine.pk).update(asked=[])
        return list(mine.asked)


def requeue(job: Job, *, reason: str, counted: bool) -> bool:
    """running → queued, to be taken up again from its last checkpoint. An uncounted one costs no attempt (shutdown,
    pause: `held_at` stays, so a paused job is not claimed).

    False: lost, or the user asked to cancel first."""
    attempts = F("attempts") if counted else Greatest(F("attempts") - 1, 0)
    still = Q(state=Job.State.RUNNING, fence=job.fence, cancel_requested_at=None)
    return _move(
        job,
        still,
        Job.State.QUEUED,
        note={"reason": reason},
        attempts=attempts,
        owner="",
        lease_until=None,
        stage="",
        message=reason,
        eta_seconds=None,
    )


def _end(job: Job, state: Job.State, condition: Q, **fields: Any) -> bool:
    still = Q(state=Job.State.RUNNING, fence=job.fence) & condition
    # The words of the last stage would read as if the job still worked.
    ends: dict[str, Any] = {"lease_until": None, "held_at": None, "stage": "", "message": "", "finished_at": Now()}
    return _move(job, still, state, **ends, **fields)


def _move(job: Job, allowed: Q, state: Job.State, *, note: dict[str, Any] | None = None, **fields: Any) -> bool:
    """The compare-and-set behind every edge; on success `job` is read afresh."""
    with transaction.atomic():
        changed = Job.objects.filter(allowed, pk=job.pk).update(state=state, last_seq=F("last_seq") + 1, **fields)
        if not changed:
            return False
        job.refresh_from_db()
        error = {"code": job.error_code, "message": job.error_message} if state == Job.State.FAILED else {}
        events.record(job, "state", {"state": state, **error, **(note or {})})
        return True
