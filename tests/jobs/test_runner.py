"""The runner with a real engine process (scripted): every way a job can end."""

import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from isengard import storage
from isengard.errors import Conflict
from isengard.jobs import context, events, joblog, runner, services, transitions
from isengard.jobs.host import EngineHost
from isengard.jobs.models import Job, JobMetric
from tests import scripted_engine
from tests.jobs import scripted

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("artifact_table", "bells"),
]


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
    scripted.once_it_runs(job, lambda: services.request_cancel(job=job))
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
    scripted.once_it_runs(job, lambda: Job.objects.filter(pk=job.pk).update(fence=99, owner="other/0"))
    runner.run_lane("gpu", "test/0", host)
    job.refresh_from_db()
    assert (job.state, job.fence, job.owner) == ("running", 99, "other/0")


def test_a_job_without_progress_says_so(host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(context, "STALLED", 0.3)
    monkeypatch.setattr(events, "announce", lambda state, *_: said.append(state["message"]))
    scripted.submit(steps=2, delay=1.5, metrics=False)
    runner.run_lane("gpu", "test/0", host)
    assert any(message.startswith("No progress") for message in said)


def test_progress_is_written_at_most_once_a_beat(host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(events, "announce", lambda state, event=None: event or written.append(state["step"]))
    monkeypatch.setattr(settings, "JOB_POLL_SECONDS", 0.5)
    began = time.monotonic()
    drive(host, steps=100, delay=0.02)
    assert 2 <= len(written) <= 3 + (time.monotonic() - began) / 0.5


def test_progress_waits_for_a_database_that_is_away(host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> None:
    write, away_until = context.JobContext._write, time.monotonic() + 1.5

    def sometimes(self: context.JobContext, *arguments: Any) -> Job | None:
        if time.monotonic() < away_until:
            raise OperationalError("the database is starting up")
        return write(self, *arguments)

    monkeypatch.setattr(context.JobContext, "_write", sometimes)
    job = drive(host, steps=40, delay=0.02)
    assert (job.state, job.metrics.count()) == ("completed", 40)


def test_cancels_around_every_edge_end_in_one_state_that_keeps_its_word(host: EngineHost) -> None:
    jobs = [scripted.submit(steps=3, delay=0.01) for _ in range(60)]
    promised: set[str] = set()

    def ask() -> None:
        for job in jobs:
            with suppress(Conflict):
                time.sleep(random.uniform(0, 0.12))
                services.request_cancel(job=job)
                promised.add(job.public_id)
        connection.close()

    asking = threading.Thread(target=ask)
    asking.start()
    runner.run_lane("gpu", "test/0", host)
    asking.join()
    states = dict(Job.objects.values_list("public_id", "state"))
    assert {job for job, state in states.items() if state == "cancelled"} == promised
    assert sorted(scripted.artifacts()) == sorted(set(states) - promised)


def test_bells_rung_three_times_run_every_job_once(tmp_path: Path) -> None:
    jobs = [scripted.submit(steps=2) for _ in range(30)]

    def lane(number: int) -> None:
        host = EngineHost(f"gpu{number}", tmp_path / f"{number}.lock", command=scripted_engine.COMMAND)
        for _ in range(3):
            runner.run_lane("gpu", f"test/{number}", host)
        host.close()
        connection.close()

    lanes = [threading.Thread(target=lane, args=(number,)) for number in range(3)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    assert sorted(scripted.artifacts()) == sorted(job.public_id for job in jobs)
    assert set(Job.objects.values_list("state", "attempts")) == {("completed", 1)}


def test_the_product_may_tidy_up_after_every_end(host: EngineHost) -> None:
    job = drive(host, error_at=1)
    assert scripted.ended == [job.public_id]


def test_a_job_that_is_removed_the_moment_it_ends_does_not_stop_the_lane(
    host: EngineHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = runner.transitions.complete

    def complete_and_remove(job: Job, result: dict[str, Any]) -> bool:
        done = complete(job, result)
        transaction.on_commit(lambda: services.remove(job=job))
        return done

    monkeypatch.setattr(runner.transitions, "complete", complete_and_remove)
    scripted.submit()
    scripted.submit()
    assert (runner.run_lane("gpu", "test/0", host), Job.objects.count()) == (2, 0)


def test_an_ended_job_does_not_keep_the_words_of_its_last_stage(host: EngineHost) -> None:
    assert drive(host, steps=2).message == ""


def test_the_log_ends_with_a_word_that_people_read(host: EngineHost) -> None:
    records = joblog.matching(storage.job_log(drive(host, steps=3).public_id))
    assert [record["msg"] for record in records][-1] == "Completed"


def test_what_the_engine_warns_of_is_found_by_that_level(host: EngineHost) -> None:
    job = drive(host, steps=1, say={"level": "warning", "event": "odd", "message": "Something is odd."})
    (line,) = joblog.matching(storage.job_log(job.public_id), level="WARNING")
    assert (line["level"], line["msg"]) == ("WARNING", "Something is odd.")


def test_a_new_stage_is_not_overwritten_by_words_of_the_one_before(host: EngineHost) -> None:
    job = scripted.submit()
    claimed = transitions.claim("gpu", "test/0")
    assert claimed is not None
    talk = context.JobContext(claimed, scripted.ScriptedHandler())
    talk.on_event({"type": "progress", "step": 1, "total": 2, "message": "Reading"})
    talk.on_event({"type": "stage", "stage": "training", "message": "Training"})
    talk._beat()
    job.refresh_from_db()
    assert (job.message, job.step) == ("Training", 1)


def test_reading_photos_promises_no_end(host: EngineHost) -> None:
    scripted.submit()
    claimed = transitions.claim("gpu", "test/0")
    assert claimed is not None
    talk = context.JobContext(claimed, scripted.ScriptedHandler())
    for step in (1, 2, 3):
        talk.on_event({"type": "progress", "step": step, "total": 12, "message": "Reading"})
    talk._beat()
    claimed.refresh_from_db()
    assert (claimed.step, claimed.eta_seconds, claimed.speed) == (3, None, None)
