"""What people do with jobs: submit, cancel, pause, retry, remove, reorder, and ask why one is waiting.

Both skins call these. Knows no request and no product noun."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from isengard import storage
from isengard.errors import Conflict, Invalid
from isengard.ids import new_id
from isengard.jobs import doorbell, events, transitions
from isengard.jobs.kinds import KINDS, handler_for
from isengard.jobs.models import ACTIVE, TERMINAL, Job, JobQuerySet, Worker


def submit(
    *,
    kind: str,
    label: str,
    correlation_id: str = "",
    priority: int | None = None,
    retry_of: Job | None = None,
) -> Job:
    """A queued job; its doorbell rings when the caller's transaction commits. KeyError: no such kind."""
    facts = KINDS[kind]
    # Somebody waits for the answer, so no statement more than it takes.
    with transaction.atomic(savepoint=False):
        job = Job.objects.create(
            public_id=new_id(facts.prefix),
            kind=kind,
            lane=facts.lane,
            label=label,
            priority=facts.priority if priority is None else priority,
            position=_end_of_line(facts.lane),
            correlation_id=correlation_id,
            retry_of=retry_of,
            last_seq=1,
        )
        events.record(job, "state", {"state": job.state})
        transaction.on_commit(lambda: doorbell.ring(facts.lane))
    return job


def request_cancel(*, job: Job) -> Job:
    """Queued jobs are cancelled at once, running ones as soon as the engine has stopped. Asking twice is fine.

    Conflict: the job had ended before."""
    with transaction.atomic():
        current = Job.objects.select_for_update(no_key=True).get(pk=job.pk)
        if current.state in TERMINAL:
            raise Conflict("already_ended", f"Cannot cancel job in {current.state} state")
        if transitions.cancel_queued(current):
            transaction.on_commit(lambda: handler_for(current.kind).on_ended(current))
        else:
            transitions.ask_to_cancel(current)
    return current


def pause(*, job: Job) -> Job:
    """A waiting job is passed over from now on; a running one saves, stops and waits. Asking twice is fine.

    Conflict: the job had ended, or is being cancelled."""
    if not transitions.hold(job):
        job.refresh_from_db()
        _refuse_unless_live(job, "pause")
    return job


def resume(*, job: Job) -> Job:
    """Lets a paused job go on, in its old place in the line. Asking twice is fine.

    One that has not stopped yet comes back at once. Conflict: the job had ended, or is being cancelled."""
    with transaction.atomic():
        if transitions.release(job):
            transaction.on_commit(lambda: doorbell.ring(job.lane))
        else:
            job.refresh_from_db()
            _refuse_unless_live(job, "resume")
    return job


def _refuse_unless_live(job: Job, verb: str) -> None:
    if job.state in TERMINAL:
        raise Conflict("already_ended", f"Cannot {verb} job in {job.state} state")
    if job.is_cancelling:
        raise Conflict("cancelling", f"Cannot {verb} a job that is being cancelled.")


def ask(*, job: Job, what: str) -> Job:
    """Has a running job save or sample after the step it is at. Asking twice before it is heard asks once.

    Invalid: such jobs cannot do that. Conflict: it is not running, or about to stop."""
    able = KINDS[job.kind].answers
    if what not in able:
        can = f"It can {' or '.join(sorted(able))}." if able else "It cannot be asked for anything."
        raise Invalid("cannot_be_asked", f"A job of this kind cannot {what} on demand. {can}")
    with transaction.atomic():
        current = Job.objects.select_for_update(no_key=True).get(pk=job.pk)
        if not tell(job=current, what=what):
            raise Conflict("not_running", f"Only a running job can {what}; this one is {_condition(current)}.")
    return current


def tell(*, job: Job, what: str) -> bool:
    """Has the engine of a running job hear `what` after the step it is at (engine/events.py: `ask`). False: no engine
    will. The caller holds the job's row, freshly read."""
    if job.state != Job.State.RUNNING or job.is_cancelling or job.is_pausing:
        return False
    job.asked = sorted({*job.asked, what})
    job.save(update_fields=["asked"])
    return True


def _condition(job: Job) -> str:
    """A job's state in a person's word."""
    if job.is_cancelling:
        return "being cancelled"
    return "pausing" if job.is_pausing else "paused" if job.is_paused else job.state


def retry(*, job: Job) -> Job:
    """A new job that asks for the same again. Conflict: this one did not fail, or its retry is already on its way."""
    with transaction.atomic():
        current = lock_for_retry(job=job)
        return handler_for(current.kind).resubmit(current)


def lock_for_retry(*, job: Job) -> Job:
    """The job for a caller that holds a transaction and starts it again. Conflict: as `retry`.

    The lock makes two clicks wait for each other, so that the second sees the first one's job."""
    current = Job.objects.select_for_update(no_key=True).get(pk=job.pk)
    if current.state not in {Job.State.FAILED, Job.State.CANCELLED}:
        raise Conflict(
            "not_retryable", f"Cannot retry job in {current.state} state: only failed and cancelled jobs can be."
        )
    if (again := current.retries.filter(state__in=ACTIVE).first()) is not None:
        raise Conflict("already_retried", f"This was started again already: {again.public_id} is {again.state}.")
    return current


def remove(*, job: Job) -> None:
    """Deletes an ended job with everything that hangs on it, its log included. Conflict: it is queued or running."""
    with transaction.atomic():
        current = Job.objects.select_for_update().get(pk=job.pk)
        if current.state not in TERMINAL:
            raise Conflict("still_active", f"Cannot delete job in {current.state} state. Cancel it first.")
        current.delete()
        # Only once that is sure: a deletion that is rolled back must not have taken the files.
        transaction.on_commit(lambda: _remove_files(current))


def _remove_files(job: Job) -> None:
    handler_for(job.kind).on_removed(job)
    storage.job_log(job.public_id).unlink(missing_ok=True)


def reorder(*, job: Job, before: Job | None) -> Job:
    """Moves a queued job right before another of its lane and priority, or (None) to the end of them.

    Conflict: one of them is not waiting any more, or they do not share a line."""
    with transaction.atomic():
        line = list(line_of(job).exclude(pk=job.pk).select_for_update(no_key=True))
        if before is not None and before not in line:
            raise Conflict("not_in_line", "That job is no longer waiting in the same line. Reload the queue.")
        moved = Job.objects.queued().filter(pk=job.pk).update(position=_position(line, before))
        if not moved:
            raise Conflict("not_queued", "The job has started and can no longer be moved.")
        # A worker that came by meanwhile skipped the locked rows and thinks that nothing waits.
        transaction.on_commit(lambda: doorbell.ring(job.lane))
    job.refresh_from_db()
    return job


def arrange(*, jobs: Sequence[str]) -> int:
    """Puts waiting jobs of one line (lane and priority) into this order of public ids; says how many were moved.

    Ids that wait no longer are passed over; jobs of the line that are not named stay behind, in their own order.
    Conflict: none of them waits any more, or they stand in different lines."""
    with transaction.atomic():
        named = list(Job.objects.queued().filter(public_id__in=jobs))
        if not named:
            raise Conflict("not_in_line", "None of these jobs is waiting any more. Reload the queue.")
        if len({(job.lane, job.priority) for job in named}) > 1:
            raise Conflict("not_in_line", "These jobs do not wait in the same line.")
        line = list(line_of(named[0]).select_for_update(no_key=True))
        place = {public_id: number for number, public_id in enumerate(jobs)}
        line.sort(key=lambda job: place.get(job.public_id, len(place)))
        for number, job in enumerate(line):
            job.position = float(number)
        Job.objects.bulk_update(line, ["position"])
        transaction.on_commit(lambda: doorbell.ring(named[0].lane))
    return len(named)


def _end_of_line(lane: str) -> float:
    """Behind whatever was dragged around; equals go by age."""
    last: float | None = Job.objects.queued().filter(lane=lane).aggregate(Max("position"))["position__max"]
    return max(last or 0.0, 0.0)


def line_of(job: Job) -> JobQuerySet:
    """The queued jobs that compete with this one, first to last; paused ones keep their places."""
    return Job.objects.queued().filter(lane=job.lane, priority=job.priority).in_claim_order()


def _position(line: list[Job], before: Job | None) -> float:
    """Halfway between the neighbours; ties (fresh jobs all stand at 0) are spread first."""
    for number, other in enumerate(line):
        other.position = float(number)
    Job.objects.bulk_update(line, ["position"])
    return float(len(line)) if before is None else line.index(before) - 0.5


def queue_position(job: Job) -> int | None:
    """1 for the next to be taken; None when the job is not waiting, or paused."""
    return Job.objects.ahead_of(job).count() + 1 if job.state == Job.State.QUEUED and not job.is_paused else None


def queue_reason(job: Job) -> str:
    """Why this job is waiting, in a sentence; empty when it is not."""
    return queue_reasons([job])[job.pk]


def queue_reasons(jobs: Sequence[Job]) -> dict[int, str]:
    """Why each of these jobs is waiting, by primary key. Three queries for a lane, however many wait in it."""
    reasons = {job.pk: "" for job in jobs}
    waiting = [job for job in jobs if job.state == Job.State.QUEUED]
    for lane in {job.lane for job in waiting}:
        staffed = online(lane).exists()
        running = Job.objects.running().filter(lane=lane).order_by("started_at").first()
        line = Job.objects.waiting().filter(lane=lane).in_claim_order().values_list("pk", flat=True)
        ahead = {pk: place for place, pk in enumerate(line)}
        for job in waiting:
            if job.lane == lane and job.is_paused:
                reasons[job.pk] = _paused(job)
            elif job.lane == lane:
                # Taken up since it was read: it does not wait for itself.
                other = running if running and running.pk != job.pk else None
                reasons[job.pk] = _reason(staffed, other, ahead.get(job.pk, 0))
    return reasons


def _paused(job: Job) -> str:
    at = f" at step {job.step} of {job.total}" if job.total else ""
    return f"Paused{at}. It goes on when you resume it."


def _reason(staffed: bool, running: Job | None, ahead: int) -> str:
    if not staffed:
        return "No worker is running, so nothing starts. Start the studio with `make run`."
    parts = [f"Waiting for {_doing(running)}"] if running else ["Starting now" if not ahead else "Waiting"]
    if ahead:
        parts.append(f"{ahead} {'job is' if ahead == 1 else 'jobs are'} ahead")
    elif running:
        parts.append("next in line")
    return "; ".join(parts) + "."


def _doing(job: Job) -> str:
    progress = f" (step {job.step} of {job.total})" if job.total else ""
    left = f", about {_words(job.eta_seconds)} left" if job.eta_seconds else ""
    return f"{job.label or job.public_id}{progress}{left}"


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def online(lane: str) -> Any:
    """Workers of a lane (gpu or cpu) that reported within three heartbeats."""
    fresh = timedelta(seconds=3 * settings.JOB_RENEW_SECONDS)
    return Worker.objects.filter(lane__startswith=lane, heartbeat_at__gt=Now() - fresh)


def status_summary() -> dict[str, Any]:
    """What the top bar says about the GPU lane: {worker, device, job, queued}."""
    worker = online("gpu").first()
    running = Job.objects.running().filter(lane="gpu").order_by("started_at").first()
    state = "offline" if worker is None else "busy" if running else "ready"
    return {
        "worker": state,
        "device": worker.device if worker else "",
        "job": events.snapshot(running) | {"label": running.label} if running else None,
        "queued": Job.objects.waiting().count(),
    }
