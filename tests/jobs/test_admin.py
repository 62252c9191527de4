"""The operators' pages of jobs."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from isengard.jobs import transitions
from isengard.jobs.models import Job
from tests.jobs import scripted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def act(operator: Client, action: str, *jobs: Job) -> str:
    chosen = {"action": action, "_selected_action": [str(job.pk) for job in jobs]}
    return operator.post("/admin/jobs/job/", chosen, follow=True).content.decode()


def test_jobs_can_be_searched_and_opened(operator: Client) -> None:
    job = scripted.submit()
    assert job.public_id in operator.get(f"/admin/jobs/job/?q={job.public_id}").content.decode()
    assert operator.get(f"/admin/jobs/job/{job.pk}/change/").status_code == 200


def test_a_state_cannot_be_typed_in(operator: Client) -> None:
    job = scripted.submit()
    operator.post(f"/admin/jobs/job/{job.pk}/change/", {"state": "completed", "priority": 3, "position": 0})
    job.refresh_from_db()
    assert job.state == "queued"


def test_cancelling_goes_through_the_service_and_names_what_it_could_not(operator: Client) -> None:
    waiting, ended = scripted.submit(), scripted.submit()
    act(operator, "cancel", ended)
    page = act(operator, "cancel", waiting, ended)
    assert "Cannot cancel job in cancelled state" in page
    assert Job.objects.get(pk=waiting.pk).state == "cancelled"


def test_a_job_that_still_has_its_worker_is_not_taken_back(operator: Client) -> None:
    job = scripted.submit()
    transitions.claim("gpu", "w/0")
    act(operator, "requeue_stale", job)
    assert Job.objects.get(pk=job.pk).state == "running"


def test_workers_are_listed(operator: Client) -> None:
    assert operator.get("/admin/jobs/worker/").status_code == 200
