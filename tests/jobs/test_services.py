"""What people do with jobs: cancel, retry, remove, reorder, and ask why one waits."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from isengard import storage
from isengard.errors import Conflict
from isengard.jobs import services, transitions
from isengard.jobs.joblog import JobLog
from isengard.jobs.models import Job, Worker
from tests.jobs import scripted

pytestmark = [pytest.mark.django_db(transaction=True)]


def online() -> None:
    Worker.objects.create(name="gpu0@here", lane="gpu0", device="CPU", heartbeat_at=Now())


def test_submitting_rings_every_gpu_lane_after_the_commit(bells: list[str], settings: Settings) -> None:
    settings.GPU_LANES = ["gpu0", "gpu1"]
    scripted.submit()
    assert bells == ["gpu0", "gpu1"]


def test_a_queued_job_is_cancelled_at_once(bells: list[str]) -> None:
    job = services.request_cancel(job=scripted.submit())
    assert (job.state, scripted.ended) == ("cancelled", [job.public_id])
    assert job.finished_at is not None


def test_a_running_job_is_only_asked_to_stop(bells: list[str]) -> None:
    job = scripted.submit()
    transitions.claim("gpu", "w/0")
    job = services.request_cancel(job=job)
    assert (job.state, job.is_cancelling) == ("running", True)


def test_asking_twice_is_fine_and_writes_one_event(bells: list[str]) -> None:
    job = scripted.submit()
    transitions.claim("gpu", "w/0")
    services.request_cancel(job=job)
    services.request_cancel(job=job)
    assert [event.payload.get("cancelling") for event in job.events.all()].count(True) == 1


def test_an_ended_job_cannot_be_cancelled(bells: list[str]) -> None:
    job = services.request_cancel(job=scripted.submit())
    with pytest.raises(Conflict, match="Cannot cancel job in cancelled state"):
        services.request_cancel(job=job)


def test_a_retry_is_a_new_job(bells: list[str]) -> None:
    old = services.request_cancel(job=scripted.submit())
    new = services.retry(job=old)
    assert (new.state, new.retry_of, new.public_id != old.public_id) == ("queued", old, True)


def test_a_second_retry_is_refused_while_the_first_is_on_its_way(bells: list[str]) -> None:
    old = services.request_cancel(job=scripted.submit())
    services.retry(job=old)
    with pytest.raises(Conflict, match="started again already"):
        services.retry(job=old)


def test_a_waiting_job_cannot_be_retried(bells: list[str]) -> None:
    with pytest.raises(Conflict):
        services.retry(job=scripted.submit())


def test_removing_a_job_takes_its_files_along(bells: list[str]) -> None:
    job = services.request_cancel(job=scripted.submit())
    folder = storage.absolute(storage.run_key(job.public_id))
    folder.mkdir(parents=True)
    JobLog(job).write("INFO", "said")
    services.remove(job=job)
    left = (folder.exists(), storage.job_log(job.public_id).exists(), Job.objects.count())
    assert left == (False, False, 0)


def test_a_removal_that_is_rolled_back_keeps_the_files(bells: list[str]) -> None:
    job = services.request_cancel(job=scripted.submit())
    folder = storage.absolute(storage.run_key(job.public_id))
    folder.mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.remove(job=job)
        raise ZeroDivisionError
    assert (folder.exists(), Job.objects.count()) == (True, 1)


def test_an_active_job_cannot_be_removed(bells: list[str]) -> None:
    with pytest.raises(Conflict):
        services.remove(job=scripted.submit())


def test_reordering_changes_who_is_claimed(bells: list[str]) -> None:
    first, second, third = (scripted.submit() for _ in range(3))
    services.reorder(job=third, before=second)
    services.reorder(job=first, before=None)
    order = [transitions.claim("gpu", "w").pk for _ in range(3)]  # type: ignore[union-attr]
    assert order == [third.pk, second.pk, first.pk]


def test_a_new_job_stands_behind_those_that_were_dragged(bells: list[str]) -> None:
    first, second = scripted.submit(), scripted.submit()
    services.reorder(job=second, before=first)
    assert services.queue_position(scripted.submit()) == 3


def test_a_job_without_a_worker_says_so(bells: list[str]) -> None:
    assert "No worker" in services.queue_reason(scripted.submit())


def test_a_waiting_job_says_for_what_and_how_long(bells: list[str]) -> None:
    online()
    running, job = scripted.submit(), scripted.submit()
    transitions.claim("gpu", "w/0")
    Job.objects.filter(pk=running.pk).update(label="Training Mira", step=120, total=400, eta_seconds=180)
    said = services.queue_reason(job)
    assert said == "Waiting for Training Mira (step 120 of 400), about 3 min left; next in line."


def test_a_job_that_was_taken_up_since_it_was_read_does_not_wait_for_itself(bells: list[str]) -> None:
    online()
    job = scripted.submit()
    transitions.claim("gpu", "w/0")
    assert services.queue_reason(job) == "Starting now."


@pytest.mark.parametrize(("worker", "running", "said"), [(0, 0, "offline"), (1, 0, "ready"), (1, 1, "busy")])
def test_the_top_bar_tells_the_true_state(bells: list[str], worker: int, running: int, said: str) -> None:
    if worker:
        online()
    if running:
        scripted.submit()
        transitions.claim("gpu", "w/0")
    assert services.status_summary()["worker"] == said


def test_asking_why_many_jobs_wait_costs_what_asking_for_one_does(
    bells: list[str], django_assert_num_queries: Any
) -> None:
    jobs = [scripted.submit() for _ in range(5)]
    for some in (jobs[:1], jobs):
        with django_assert_num_queries(3):
            services.queue_reasons(some)


def test_active_jobs_are_found_without_reading_those_that_ended(bells: list[str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = Job.objects.active().explain()
    assert "job_claim_order" in plan and "job_leases" in plan
