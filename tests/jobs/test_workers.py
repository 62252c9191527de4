"""A real Celery worker, started as the launcher starts it: it reports, runs what it is rung for, and leaves well."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from isengard.jobs import doorbell, transitions, watchdog, workers
from isengard.jobs.models import Job, Worker
from isengard.studio import process
from tests.jobs import scripted
from tests.jobs.storm import Lane

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("artifact_table"),
]


def until(condition: Callable[[], bool]) -> None:
    assert process.until(condition, 90, step=0.1), "it did not happen in time"


@pytest.fixture
def lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Lane]:
    settings.GPU_LANES = ["gpu0"]
    monkeypatch.setenv("STORM_DATABASE", str(connection.settings_dict["NAME"]))
    with (tmp_path / "worker.log").open("wb") as log:
        lane = Lane("gpu0", log)
        yield lane
        lane.stop()


def test_a_worker_reports_runs_its_jobs_and_leaves_a_long_one_for_the_next(lane: Lane) -> None:
    until(lambda: Worker.objects.filter(lane="gpu0", device="CPU").exists())
    short = scripted.submit(steps=3)
    until(lambda: Job.objects.get(pk=short.pk).state == "completed")

    long = scripted.submit(steps=100_000, delay=0.02, checkpoints=100_000)
    until(lambda: Job.objects.get(pk=long.pk).step > 5)
    lane.process.terminate()
    assert lane.process.wait(30) == 0
    long.refresh_from_db()
    assert (long.state, long.attempts, long.owner) == ("queued", 0, "")
    assert long.events.filter(kind="checkpoint").exists()


def test_a_lost_child_costs_no_lease(lane: Lane) -> None:
    job = scripted.submit(steps=100, delay=0.05, checkpoints=50, resume=True)
    until(lambda: Job.objects.get(pk=job.pk).step > 5)
    child = lane.find("child")
    assert child is not None
    child.kill()
    until(lambda: Job.objects.get(pk=job.pk).state == "completed")
    assert Job.objects.get(pk=job.pk).attempts == 2


def test_a_bell_that_was_lost_is_rung_again(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scripted.submit(steps=1)
    until(lambda: Job.objects.get(pk=first.pk).state == "completed")
    # The bell that the worker rings for itself at its start may still be under way.
    time.sleep(2)
    with monkeypatch.context() as patch:
        patch.setattr(doorbell, "ring_queue", lambda queue: None)
        job = scripted.submit()
    time.sleep(1)
    assert Job.objects.get(pk=job.pk).state == "queued"
    watchdog.tick()
    until(lambda: Job.objects.get(pk=job.pk).state == "completed")


def test_a_worker_that_hears_nothing_while_work_waits_is_deaf(
    bells: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "here", workers.Here(name="gpu0@here", queue="gpu0", heard=time.monotonic() - 100))
    scripted.submit()
    assert not workers._is_deaf()
    Job.objects.update(created_at=timezone.now() - timedelta(seconds=workers.DEAF_SECONDS + 1))
    assert workers._is_deaf()
    workers._on_received()
    assert not workers._is_deaf()


def test_a_worker_told_to_leave_waits_for_its_job_only(bells: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = workers.Here(name="gpu0@here", queue="gpu0", told_to_leave=time.monotonic() - 11)
    monkeypatch.setattr(workers, "here", told)
    scripted.submit()
    job = transitions.claim("gpu", "gpu0@here/0")
    assert job is not None
    assert not workers._is_stuck_leaving()
    transitions.requeue(job, reason="shutdown", counted=False)
    assert workers._is_stuck_leaving()


@pytest.mark.parametrize(
    ("given", "queue", "seen"),
    [("", "gpu1", "1"), ("4,6", "gpu1", "6"), ("GPU-77", "gpu1", None), ("", "cpu", None)],
)
def test_a_lane_sees_its_own_gpu(monkeypatch: pytest.MonkeyPatch, given: str, queue: str, seen: str | None) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert workers._visible(queue).get("CUDA_VISIBLE_DEVICES") == seen


def test_a_bell_carries_the_queue_and_nothing_of_the_job(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    sent: list[str] = []
    monkeypatch.setattr(doorbell.app, "send_task", lambda name, **options: sent.append(json.dumps([name, options])))
    settings.GPU_LANES = ["gpu0"]
    job = scripted.submit()
    assert '"queue": "gpu0"' in sent[0]
    assert job.public_id not in sent[0]


def test_a_broker_that_is_away_does_not_fail_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise doorbell.OperationalError("no broker")

    monkeypatch.setattr(doorbell.app, "send_task", away)
    assert scripted.submit().state == "queued"
