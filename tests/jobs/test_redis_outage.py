"""Redis killed while a job runs: the job goes on untouched, what is asked meanwhile is not lost."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection

from isengard.env import celery_broker
from isengard.jobs import doorbell, watchdog
from isengard.jobs.models import Job, Worker
from isengard.studio.paths import StatePaths
from isengard.studio.redis import Redis
from tests.jobs import scripted
from tests.jobs.storm import Lane

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("artifact_table"),
]


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A Redis of this test's own, which the worker and the bells use."""
    paths = StatePaths.of(tmp_path / "state")
    paths.state.mkdir()
    redis = Redis(paths)
    redis.start()
    monkeypatch.setenv("REDIS_URL", paths.redis_url)
    monkeypatch.setenv("STORM_DATABASE", str(connection.settings_dict["NAME"]))
    app = Celery("outage", broker=celery_broker(paths.redis_url), set_as_current=False)
    app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    monkeypatch.setattr(doorbell, "app", app)
    yield redis
    redis.stop()


@pytest.fixture
def lane(redis: Redis, tmp_path: Path) -> Iterator[Lane]:
    with (tmp_path / "worker.log").open("wb") as log:
        lane = Lane("gpu0", log)
        yield lane
        lane.stop()


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Waits as beat does: with a tick of the watchdog now and then."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.5)
        watchdog.tick()


def test_a_killed_redis_costs_no_job_anything(redis: Redis, lane: Lane) -> None:
    until(lambda: Worker.objects.filter(lane="gpu0").exists())
    running = scripted.submit(steps=200, delay=0.05)
    until(lambda: Job.objects.get(pk=running.pk).step > 5)
    os.kill(int(redis.pid_file.read_text()), signal.SIGKILL)
    asked = time.monotonic()
    waiting = scripted.submit(steps=2)
    assert time.monotonic() - asked < 4
    time.sleep(3)
    redis.start()
    until(lambda: not Job.objects.active().exists())
    states = [(job.state, job.attempts) for job in (Job.objects.get(pk=running.pk), Job.objects.get(pk=waiting.pk))]
    assert states == [("completed", 1), ("completed", 1)]
    fresh = scripted.submit(steps=2)
    until(lambda: Job.objects.get(pk=fresh.pk).state == "completed")
