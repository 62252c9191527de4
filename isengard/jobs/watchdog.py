"""Finds what was lost: jobs whose worker is gone, bells nobody heard, workers that left. Every tick may run twice.

Called every ten seconds by beat and when a worker starts. The clock is the database's."""

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from isengard.jobs import doorbell, runner, transitions
from isengard.jobs.models import Job, JobQuerySet, Worker

LOCK = 0x15E46A4D
FORGET_WORKERS = timedelta(minutes=10)


def tick() -> None:
    with transaction.atomic():
        if not _alone():
            return
        if _database_is_settled():
            rescue(Job.objects.stale())
        Worker.objects.filter(heartbeat_at__lt=Now() - FORGET_WORKERS).delete()
    for queue in idle_queues():
        doorbell.ring_queue(queue)


def rescue(lost: JobQuerySet) -> int:
    """Puts running jobs without a worker back in the queue (or to their end); says how many."""
    with transaction.atomic():
        jobs = list(lost.select_for_update(skip_locked=True, no_key=True))
        for job in jobs:
            _ = runner.retry_or_fail(job, runner.WORKER_LOST) or transitions.cancel(job)
            runner.ended(Job.objects.get(pk=job.pk))
    return len(jobs)


def idle_queues() -> list[str]:
    """Queues of live workers without a job. They are rung even when nothing waits: a consumer that no longer hears its
    bell is found that way (`workers.py`), and a warm engine that nobody needs is let go."""
    busy = set(Job.objects.running().values_list("owner", flat=True))
    workers = Worker.objects.filter(draining=False)
    return [worker.lane for worker in workers if not any(owner.startswith(f"{worker.name}/") for owner in busy)]


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _database_is_settled() -> bool:
    """False for a lease after Postgres started: nobody could renew while it was away."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_postmaster_start_time() < STATEMENT_TIMESTAMP() - make_interval(secs => %s)",
            [settings.JOB_LEASE_SECONDS],
        )
        return bool(cursor.fetchone()[0])
