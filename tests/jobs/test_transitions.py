"""Every edge of the state machine, and that nobody can take it twice."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from isengard.jobs import transitions
from isengard.jobs.models import Job
from tests.jobs import scripted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Results of `act(0..count-1)`, each in a thread with a connection of its own."""

    def run(number: int) -> Any:
        try:
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def claimed() -> Job:
    scripted.submit()
    job = transitions.claim("gpu", "test/0")
    assert job is not None
    return job


def test_many_workers_never_claim_a_job_twice() -> None:
    for _ in range(40):
        scripted.submit()

    def claim_all(number: int) -> list[str]:
        found = []
        while job := transitions.claim("gpu", f"w{number}"):
            found.append(job.public_id)
        return found

    taken = Counter(job for jobs in at_once(8, claim_all) for job in jobs)
    assert (len(taken), max(taken.values())) == (40, 1)


def test_jobs_are_claimed_by_priority_then_by_age() -> None:
    first, urgent, second = scripted.submit(), scripted.submit(), scripted.submit()
    Job.objects.filter(pk=urgent.pk).update(priority=1)
    order = [transitions.claim("gpu", "w").pk for _ in range(3)]  # type: ignore[union-attr]
    assert order == [urgent.pk, first.pk, second.pk]


def test_only_one_of_many_ends_wins() -> None:
    job = claimed()
    Job.objects.filter(pk=job.pk).update(cancel_requested_at=None)
    fail = {"code": "x", "message": "x", "retryable": False}
    ends: list[Callable[[], bool]] = [
        lambda: transitions.complete(Job.objects.get(pk=job.pk), {}),
        lambda: transitions.fail(Job.objects.get(pk=job.pk), **fail),  # type: ignore[arg-type]
        lambda: transitions.requeue(Job.objects.get(pk=job.pk), reason="x", counted=True),
    ]
    won = at_once(9, lambda number: ends[number % 3]())
    assert sum(won) == 1


def test_a_terminal_state_never_changes() -> None:
    job = claimed()
    transitions.complete(job, {})
    later = [transitions.cancel(job), transitions.requeue(job, reason="", counted=True), transitions.complete(job, {})]
    assert (any(later), Job.objects.get(pk=job.pk).state) == (False, "completed")


def test_a_cancel_that_came_first_beats_the_end() -> None:
    job = claimed()
    transitions.ask_to_cancel(Job.objects.get(pk=job.pk))
    assert not transitions.complete(job, {})
    assert transitions.cancel(job)


def test_a_holder_that_lost_its_lease_cannot_write() -> None:
    old = claimed()
    transitions.requeue(Job.objects.get(pk=old.pk), reason="", counted=True)
    transitions.claim("gpu", "other")
    assert not transitions.complete(old, {})
    with pytest.raises(transitions.LostJob), transitions.held(old):
        pass


def test_an_uncounted_requeue_gives_the_attempt_back() -> None:
    job = claimed()
    transitions.requeue(job, reason="shutdown", counted=False)
    assert (job.state, job.attempts) == ("queued", 0)


def test_events_written_at_once_are_numbered_without_gaps() -> None:
    from isengard.jobs import events

    job = scripted.submit()
    at_once(8, lambda number: events.append(job, "log", {"number": number}))
    assert list(job.events.values_list("seq", flat=True)) == list(range(1, 10))
