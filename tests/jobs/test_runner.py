"""The runner with a real engine process (scripted): every way a job can end."""

import threading
import time
from typing import Any

import pytest

from isengard.jobs import runner, services
from isengard.jobs.host import EngineHost
from isengard.jobs.models import Job, JobMetric
from tests.jobs import scripted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("artifact_table", "bells")]


def drive(host: EngineHost, **script: Any) -> Job:
    job = scripted.submit(**script)
    runner.run_lane("gpu", "test/0", host)
    job.refresh_from_db()
    return job


def kinds(job: Job) -> list[str]:
    return list(job.events.values_list("kind", flat=True))


def test_a_job_completes_with_its_result_and_its_artifact(host: EngineHost) -> None:
    job = drive(host, steps=7)
    assert (job.state, job.result, job.step) == ("completed", {"steps": 7}, 7)
    assert scripted.artifacts() == [job.public_id]


def test_the_events_of_a_job_are_numbered_without_gaps(host: EngineHost) -> None:
    job = drive(host, steps=6, samples=2, checkpoints=3)
    assert list(job.events.values_list("seq", flat=True)) == list(range(1, job.last_seq + 1))


def test_samples_and_checkpoints_become_events(host: EngineHost) -> None:
    job = drive(host, steps=6, samples=2, checkpoints=3)
    assert kinds(job).count("sample") == 2
    assert kinds(job).count("checkpoint") == 3


def test_every_metric_is_kept(host: EngineHost) -> None:
    job = drive(host, steps=30, delay=0.01)
    assert list(JobMetric.objects.filter(job=job).values_list("step", flat=True)) == list(range(1, 31))


def test_an_engine_error_fails_the_job_with_its_code_and_sentence(host: EngineHost) -> None:
    job = drive(host, error_at=2, error={"code": "base_missing", "message": "Put it there.", "retryable": True})
    assert (job.state, job.error_code, job.error_message) == ("failed", "base_missing", "Put it there.")
    assert job.error_retryable


def test_a_killed_engine_is_tried_three_times(host: EngineHost) -> None:
    job = drive(host, crash_at=2)
    assert (job.state, job.attempts, job.error_code) == ("failed", 3, "engine_killed")


def test_a_killed_engine_goes_on_from_its_checkpoint(host: EngineHost) -> None:
    job = drive(host, steps=6, checkpoints=3, crash_at=5, crash_once=True, resume=True)
    assert (job.state, job.attempts) == ("completed", 2)
    assert [event.payload["step"] for event in job.events.filter(kind="checkpoint")] == [2, 4, 6]


def test_a_bug_in_a_handler_fails_the_job_and_not_the_lane(host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted.ScriptedHandler, "finish", lambda *_: 1 / 0)
    job = drive(host)
    assert (job.state, job.error_code) == ("failed", "internal_error")
    assert "ZeroDivisionError" in job.error_tail


def test_a_running_job_is_cancelled_when_the_engine_has_stopped(host: EngineHost) -> None:
    job = scripted.submit(steps=2000, delay=0.01)
    threading.Timer(1.0, lambda: services.request_cancel(job=job)).start()
    runner.run_lane("gpu", "test/0", host)
    job.refresh_from_db()
    assert (job.state, scripted.artifacts()) == ("cancelled", [])


def test_a_shutdown_puts_the_job_back_without_costing_an_attempt(host: EngineHost) -> None:
    job = scripted.submit(steps=2000, delay=0.01, checkpoints=2000)
    leave_at = time.monotonic() + 1.0
    runner.run_lane("gpu", "test/0", host, lambda: time.monotonic() > leave_at)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.owner) == ("queued", 0, "")


def test_a_job_that_was_taken_over_is_left_alone(host: EngineHost) -> None:
    job = scripted.submit(steps=2000, delay=0.01)
    take = lambda: Job.objects.filter(pk=job.pk).update(fence=99, owner="other/0")  # noqa: E731
    threading.Timer(1.0, take).start()
    runner.run_lane("gpu", "test/0", host)
    job.refresh_from_db()
    assert (job.state, job.fence, job.owner) == ("running", 99, "other/0")


def test_the_product_may_tidy_up_after_every_end(host: EngineHost) -> None:
    job = drive(host, error_at=1)
    assert scripted.ended == [job.public_id]
