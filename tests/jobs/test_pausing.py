"""Pausing, resuming and asking: what each does to a job that waits or runs, and every race that they can be in."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from isengard.errors import Conflict, Invalid
from isengard.jobs import runner, services, transitions, watchdog
from isengard.jobs.host import EngineHost
from isengard.jobs.kinds import KINDS
from isengard.jobs.models import Job
from tests.jobs import scripted
from tests.jobs.test_transitions import at_once, claimed

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("artifact_table", "bells"),
]
LONG = {"steps": 2000, "delay": 0.01, "checkpoints": 2000, "resume": True}


def drive(host: EngineHost, job: Job) -> Job:
    runner.run_lane("gpu", "test/0", host)
    return Job.objects.get(pk=job.pk)


def test_a_paused_job_is_passed_over() -> None:
    first, second = scripted.submit(), scripted.submit()
    services.pause(job=first)
    taken = transitions.claim("gpu", "w/0")
    assert taken == second and transitions.claim("gpu", "w/0") is None


def test_a_resumed_job_is_first_again_and_rings_the_bell(bells: list[str]) -> None:
    first, _ = scripted.submit(), scripted.submit()
    services.pause(job=first)
    bells.clear()
    services.resume(job=first)
    assert bells == ["gpu0"] and transitions.claim("gpu", "w/0") == first


def test_a_running_job_is_saved_and_waits_without_costing_an_attempt(host: EngineHost) -> None:
    job = scripted.submit(**LONG)
    scripted.once_it_runs(job, lambda: services.pause(job=job))
    job = drive(host, job)
    assert (job.state, job.is_paused, job.attempts, job.owner) == ("queued", True, 0, "")
    assert job.message == f"Paused at step {job.step} of 2000" and 0 < job.step < 2000
    assert job.events.filter(kind="checkpoint").count() > 0


def test_a_resumed_job_goes_on_where_it_stood(host: EngineHost) -> None:
    job = scripted.submit(**{**LONG, "steps": 300})
    scripted.once_it_runs(job, lambda: services.pause(job=job))
    paused = drive(host, job)
    services.resume(job=job)
    ended = drive(host, job)
    assert (ended.state, ended.step) == ("completed", 300) and 0 < paused.step < 300
    assert list(job.metrics.values_list("step", flat=True)) == list(range(1, 301))


def test_a_resume_before_the_engine_has_stopped_takes_it_up_at_once(host: EngineHost) -> None:
    job = scripted.submit(**{**LONG, "steps": 200})
    scripted.once_it_runs(job, lambda: (services.pause(job=job), services.resume(job=job)))
    assert drive(host, job).state == "completed"


def test_a_pause_that_comes_after_the_last_step_changes_nothing() -> None:
    job = claimed()
    services.pause(job=job)
    assert transitions.complete(job, {}) and not Job.objects.get(pk=job.pk).held_at


def test_a_cancel_outranks_a_pause(host: EngineHost) -> None:
    job = scripted.submit(**LONG)
    scripted.once_it_runs(job, lambda: (services.pause(job=job), services.request_cancel(job=job)))
    assert drive(host, job).state == "cancelled"


def test_a_paused_job_is_cancelled_at_once() -> None:
    job = scripted.submit()
    services.pause(job=job)
    ended = services.request_cancel(job=job)
    assert (ended.state, ended.held_at) == ("cancelled", None)


def test_a_worker_that_is_lost_while_it_pauses_leaves_the_job_paused() -> None:
    job = claimed()
    services.pause(job=job)
    watchdog.rescue(Job.objects.running())
    job.refresh_from_db()
    assert (job.state, job.is_paused, job.attempts) == ("queued", True, 1)


def test_an_engine_that_crashes_while_it_pauses_leaves_the_job_paused(host: EngineHost) -> None:
    job = scripted.submit(steps=500, delay=0.01, crash_at=120, ignore_stop=True)
    scripted.once_it_runs(job, lambda: services.pause(job=job))
    job = drive(host, job)
    assert (job.state, job.is_paused) == ("queued", True)


@pytest.mark.parametrize("act", [services.pause, services.resume])
def test_many_pauses_or_resumes_write_one_event(act: Callable[..., Job]) -> None:
    job = scripted.submit()
    if act is services.resume:
        services.pause(job=job)
    at_once(6, lambda _: act(job=Job.objects.get(pk=job.pk)))
    held = [event.payload.get("held") for event in job.events.all()]
    assert held.count(act is services.pause) == 1


@pytest.mark.parametrize("act", [services.pause, services.resume])
def test_an_ended_job_can_be_neither_paused_nor_resumed(act: Callable[..., Job]) -> None:
    job = services.request_cancel(job=scripted.submit())
    with pytest.raises(Conflict, match="job in cancelled state"):
        act(job=job)


def test_pauses_and_claims_at_once_lose_no_job() -> None:
    jobs = [scripted.submit() for _ in range(30)]
    taken: list[str] = []

    def act(number: int) -> None:
        for job in jobs[number % 3 :: 3] if number < 3 else ():
            services.pause(job=Job.objects.get(pk=job.pk))
        while number >= 3 and (job := transitions.claim("gpu", f"w{number}")):
            taken.append(job.public_id)

    at_once(6, act)
    waiting = set(Job.objects.queued().values_list("public_id", flat=True))
    assert len(taken) == len(set(taken)) and waiting | set(taken) == {job.public_id for job in jobs}
    assert not Job.objects.waiting().exists()


def test_what_is_asked_reaches_the_engine_once(host: EngineHost) -> None:
    job = scripted.submit(steps=150, delay=0.01)
    scripted.once_it_runs(job, lambda: (services.ask(job=job, what="save"), services.ask(job=job, what="sample")))
    job = drive(host, job)
    kinds = list(job.events.values_list("kind", flat=True))
    assert (kinds.count("checkpoint"), kinds.count("sample"), job.asked) == (1, 1, [])


def test_a_wish_of_an_attempt_that_was_lost_is_not_carried_over() -> None:
    job = claimed()
    services.ask(job=job, what="save")
    transitions.requeue(job, reason="", counted=False)
    again = transitions.claim("gpu", "w/0")
    assert again is not None and again.asked == []


def test_only_a_running_job_can_be_asked() -> None:
    with pytest.raises(Conflict, match="Only a running job can save; this one is queued"):
        services.ask(job=scripted.submit(), what="save")


def test_a_pausing_job_is_not_asked_for_more() -> None:
    job = claimed()
    services.pause(job=job)
    with pytest.raises(Conflict, match="pausing"):
        services.ask(job=job, what="sample")


@pytest.mark.parametrize(("kind", "what"), [("training", "dance"), ("generation", "save")])
def test_what_a_kind_cannot_do_is_refused(kind: str, what: str) -> None:
    assert what not in KINDS[kind].answers
    with pytest.raises(Invalid):
        services.ask(job=services.submit(kind=kind, label="x"), what=what)


def test_a_paused_job_is_not_ahead_of_others_and_says_why_it_waits() -> None:
    first, second = scripted.submit(), scripted.submit()
    Job.objects.filter(pk=first.pk).update(step=12, total=40)
    first.refresh_from_db()
    services.pause(job=first)
    assert (services.queue_position(first), services.queue_position(second)) == (None, 1)
    assert services.queue_reason(first) == "Paused at step 12 of 40. It goes on when you resume it."


def test_a_line_takes_the_order_it_is_given_and_keeps_who_was_not_named() -> None:
    a, b, c, d = (scripted.submit() for _ in range(4))
    moved = services.arrange(jobs=[c.public_id, "train-000000000000", a.public_id])
    assert moved == 2 and list(Job.objects.queued().in_claim_order()) == [c, a, b, d]


def test_jobs_of_two_lines_cannot_be_put_in_one_order() -> None:
    a, b = scripted.submit(), scripted.submit()
    Job.objects.filter(pk=b.pk).update(priority=1)
    with pytest.raises(Conflict, match="same line"):
        services.arrange(jobs=[a.public_id, b.public_id])


def test_programs_pause_ask_and_resume(api: APIClient) -> None:
    job = claimed()
    address = f"/api/jobs/{job.public_id}"
    assert api.post(f"{address}/ask", {"what": "save"}).status_code == 200
    paused = api.post(f"{address}/pause").json()
    resumed = api.post(f"{address}/resume").json()
    assert (paused["status"], paused["pausing"], resumed["pausing"]) == ("running", True, False)


def test_a_program_that_asks_for_nonsense_is_told_what_can_be_asked(api: APIClient) -> None:
    answer = api.post(f"/api/jobs/{claimed().public_id}/ask", {"what": "dance"})
    assert answer.status_code == 400 and answer.json()["code"] == "cannot_be_asked"
    assert "It can sample or save." in answer.json()["detail"]
