"""The pages about work as such: the top bar's status, the queue and what one can do in it, the logs."""

import re
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from characters.models import Character
from isengard.jobs.joblog import JobLog
from isengard.jobs.models import Job, Worker
from tests.pages.rows import HTMX, pictured, queries, text, trained

STATUS, QUEUE, LOGS = reverse("status"), reverse("jobs:queue"), reverse("logs")
pytestmark = pytest.mark.django_db


def online() -> None:
    Worker.objects.create(name="gpu0@here", lane="gpu0", device="CPU", heartbeat_at=Now())


def act(client: Client, job: Job, action: str) -> Any:
    return client.post(reverse("jobs:act", args=[job.public_id, action]), headers=HTMX)


def test_without_a_worker_the_top_bar_says_so(client: Client) -> None:
    assert "No worker" in text(client.get(STATUS))


def test_an_idle_worker_is_ready_and_names_its_device(client: Client) -> None:
    online()
    assert "Ready" in text(client.get(STATUS)) and "· CPU" in text(client.get(STATUS))


def test_a_running_job_shows_in_the_top_bar(client: Client, volume: object) -> None:
    online()
    job = pictured(state="running", made=0, step=10, total=40, eta_seconds=30.0).job
    page = text(client.get(STATUS))
    assert f'data-job="{job.public_id}"' in page and "30 s left" in page and 'value="25.0"' in page


def test_an_empty_queue_says_so(client: Client) -> None:
    page = text(client.get(QUEUE))
    assert "Nothing is running." in page and "Nothing is waiting." in page and ">Running</h2>" in page


def test_the_queue_says_why_each_job_waits(client: Client, volume: object) -> None:
    online()
    pictured(state="running", made=0, step=10, total=40), pictured(state="queued", made=0)
    assert "Waiting for a portrait (step 10 of 40); next in line." in text(client.get(QUEUE))


def test_a_waiting_job_can_be_removed(client: Client, volume: object) -> None:
    job = pictured(state="queued", made=0).job
    assert "is being cancelled" in act(client, job, "cancel").headers["HX-Trigger"]
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_a_waiting_job_can_be_moved_to_the_front(client: Client, volume: object) -> None:
    first, second = pictured(state="queued", made=0).job, pictured(state="queued", made=0).job
    act(client, second, "first")
    assert list(Job.objects.queued().in_claim_order()) == [second, first]


def waiting(count: int) -> list[Job]:
    return [pictured(state="queued", made=0).job for _ in range(count)]


def order() -> list[Job]:
    return list(Job.objects.queued().in_claim_order())


def test_a_line_takes_the_order_it_was_dragged_into(client: Client, volume: object) -> None:
    first, second, third = waiting(3)
    dragged = {"job": [job.public_id for job in (third, first, second)]}
    answer = client.post(reverse("jobs:arrange"), dragged, headers=HTMX)
    assert order() == [third, first, second] and "The order was changed." in answer.headers["HX-Trigger"]


@pytest.mark.parametrize(("action", "places"), [("up", [1, 0, 2]), ("down", [0, 2, 1])])
def test_a_waiting_job_is_moved_by_keyboard(client: Client, volume: object, action: str, places: list[int]) -> None:
    jobs = waiting(3)
    act(client, jobs[1], action)
    assert order() == [jobs[place] for place in places]


def test_what_was_pressed_stays_or_hands_the_focus_on(client: Client, volume: object) -> None:
    first, second = waiting(2)
    moved = text(act(client, second, "up"))
    assert re.search(rf'id="up-{second.public_id}" type="button" aria-disabled="true"', moved)
    paused = text(act(client, second, "pause"))
    assert re.findall(r'id="([^"]+)" autofocus', paused) == [f"resume-{second.public_id}"]
    gone = text(act(client, first, "cancel"))
    assert '<h2 tabindex="-1" autofocus>Waiting</h2>' in gone


def test_a_waiting_job_can_be_paused_and_resumed(client: Client, volume: object) -> None:
    (job,) = waiting(1)
    paused = act(client, job, "pause")
    assert "is paused" in paused.headers["HX-Trigger"] and f'id="resume-{job.public_id}"' in text(paused)
    resumed = act(client, job, "resume")
    assert "goes on" in resumed.headers["HX-Trigger"] and f'id="pause-{job.public_id}"' in text(resumed)


def test_a_running_job_can_be_paused(client: Client, volume: object) -> None:
    job = pictured(state="running", made=0).job
    answer = act(client, job, "pause")
    assert "saves and pauses" in answer.headers["HX-Trigger"] and ">pausing<" in text(answer)


def test_lines_that_cannot_be_mixed_stand_apart(client: Client, volume: object, mira: Character) -> None:
    waiting(2)
    trained(mira)
    lines = client.get(QUEUE).context["lines"]
    assert [(line["label"], len(line["rows"])) for line in lines] == [("Pictures", 2), ("Training", 1)]


def test_a_failed_job_can_be_queued_again(client: Client, volume: object) -> None:
    act(client, pictured(state="failed", made=0).job, "retry")
    assert Job.objects.queued().count() == 1


def test_without_javascript_the_queue_comes_back(client: Client, volume: object) -> None:
    job = pictured(state="queued", made=0).job
    assert client.post(reverse("jobs:act", args=[job.public_id, "cancel"])).headers["Location"] == QUEUE


def test_an_unknown_action_is_refused(client: Client, volume: object) -> None:
    assert act(client, pictured(state="queued", made=0).job, "explode").status_code == 400


def test_an_empty_log_page_says_what_makes_logs(client: Client) -> None:
    assert "No logs yet" in text(client.get(LOGS))


def logged(**fields: str) -> Job:
    job = pictured(state="completed", made=0, **fields).job
    JobLog(job).write("INFO", "stage.drawing", "Drawing")
    JobLog(job).write("ERROR", "engine", "It broke <b>")
    return job


def test_a_log_is_read_line_by_line(client: Client, volume: object) -> None:
    logged()
    page = text(client.get(LOGS))
    assert "Drawing" in page and "It broke &lt;b&gt;" in page and "2 lines" in page


@pytest.mark.parametrize(("query", "lines"), [("level=ERROR", 1), ("search=drawing", 1), ("search=nothing", 0)])
def test_a_log_is_searched(client: Client, volume: object, query: str, lines: int) -> None:
    logged()
    assert client.get(f"{LOGS}?{query}").context["log"]["total"] == lines


def test_one_click_is_followed_through_its_logs(client: Client, volume: object) -> None:
    logged(correlation_id="fe-other")
    mine = logged(correlation_id="fe-mine")
    assert client.get(f"{LOGS}?correlation=fe-mine").context["jobs"] == [mine]


def test_the_log_page_costs_the_same_however_many_jobs(client: Client, volume: object) -> None:
    logged()
    few = queries(client, LOGS)
    logged(), logged()
    assert queries(client, LOGS) == few
