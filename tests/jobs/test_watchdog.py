"""The watchdog: lost workers, lost bells, workers that left."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from isengard.jobs import transitions, watchdog
from isengard.jobs.models import Job, Worker
from tests.jobs import scripted

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch, bells: list[str]) -> None:
    """As if Postgres had been up for long; the bells are silent."""
    monkeypatch.setattr(watchdog, "_database_is_settled", lambda: True)


def lost_job(**fields: object) -> Job:
    scripted.submit()
    job = transitions.claim("gpu", "gone/0")
    assert job is not None
    Job.objects.filter(pk=job.pk).update(lease_until=Now() - timedelta(seconds=1), **fields)
    return job


def test_a_job_whose_lease_has_ended_is_queued_again() -> None:
    job = lost_job()
    watchdog.tick()
    job.refresh_from_db()
    assert (job.state, job.attempts, job.owner) == ("queued", 1, "")


def test_a_job_that_still_has_its_lease_is_left_alone() -> None:
    scripted.submit()
    job = transitions.claim("gpu", "here/0")
    watchdog.tick()
    assert Job.objects.get(pk=job.pk).state == "running"  # type: ignore[union-attr]


def test_the_third_lost_worker_fails_the_job_with_a_reason() -> None:
    job = lost_job(attempts=3)
    watchdog.tick()
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_retryable) == ("failed", "worker_lost", True)
    assert scripted.ended == [job.public_id]


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled() -> None:
    job = lost_job(cancel_requested_at=Now())
    watchdog.tick()
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_nothing_expires_right_after_postgres_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_database_is_settled", lambda: False)
    job = lost_job()
    watchdog.tick()
    assert Job.objects.get(pk=job.pk).state == "running"


def test_the_age_of_postgres_is_asked_of_postgres(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.undo()
    settings.JOB_LEASE_SECONDS = 0
    assert watchdog._database_is_settled()
    settings.JOB_LEASE_SECONDS = 10**9
    assert not watchdog._database_is_settled()


def test_idle_lanes_are_rung_and_busy_ones_are_not(bells: list[str]) -> None:
    for lane in ("gpu0", "gpu1"):
        Worker.objects.create(name=f"{lane}@here", lane=lane, heartbeat_at=Now())
    scripted.submit()
    bells.clear()
    transitions.claim("gpu", "gpu0@here/0")
    watchdog.tick()
    assert bells == ["gpu1"]


def test_two_ticks_at_once_do_the_work_once() -> None:
    job = lost_job()
    other = connection.copy()
    with transaction.atomic(), other.cursor() as cursor:
        other.set_autocommit(False)
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [watchdog.LOCK])
        watchdog.tick()
        assert Job.objects.get(pk=job.pk).state == "running"
    other.close()


def test_workers_that_left_long_ago_are_forgotten() -> None:
    Worker.objects.create(name="old", lane="gpu0", heartbeat_at=Now() - timedelta(hours=1))
    Worker.objects.create(name="new", lane="gpu0", heartbeat_at=Now())
    watchdog.tick()
    assert [worker.name for worker in Worker.objects.all()] == ["new"]
