"""Cancelling one picture of a request: what is kept of it, what the engine hears, what the card and the API say."""

import pytest
from django.test import Client

from characters.models import Character
from generation import grid, services, striking
from generation.handlers import GenerationHandler
from generation.models import Generation
from isengard.errors import Conflict, NotFound
from isengard.jobs.models import Job
from tests.generation.test_handlers import tell
from tests.people import make_lora

HANDLER = GenerationHandler()


@pytest.fixture
def asked(mira: Character) -> Generation:
    make_lora(mira)
    return services.start_generation(prompt="smiling", character=mira, count=3, seed=5)


@pytest.fixture
def running(asked: Generation) -> Generation:
    Job.objects.filter(pk=asked.job_id).update(state=Job.State.RUNNING, fence=1)
    asked.refresh_from_db()
    return asked


def test_a_picture_struck_while_it_waits_is_never_asked_for(asked: Generation) -> None:
    striking.strike(generation=asked, index=1)
    assert HANDLER.spec(asked.job)["skip"] == (1,) and HANDLER.spec(asked.job)["seeds"] == (5, 6, 7)


def test_the_engine_of_a_running_request_hears_of_it_once(running: Generation) -> None:
    striking.strike(generation=running, index=2)
    striking.strike(generation=running, index=2)
    job = Job.objects.get(pk=running.job_id)
    assert job.asked == ["skip:2"] and job.state == "running"
    assert [event.payload for event in job.events.filter(kind="picture")] == [{"index": 2, "state": "cancelled"}]


def test_a_request_whose_every_picture_is_struck_is_cancelled(asked: Generation) -> None:
    for index in range(3):
        striking.strike(generation=asked, index=index)
    assert Job.objects.get(pk=asked.job_id).state == "cancelled"


def test_a_picture_that_is_drawn_cannot_be_struck(running: Generation) -> None:
    tell(running, 0)
    with pytest.raises(Conflict, match="drawn already"):
        striking.strike(generation=running, index=0)


def test_nothing_is_struck_from_a_request_that_has_ended(asked: Generation) -> None:
    Job.objects.filter(pk=asked.job_id).update(state=Job.State.COMPLETED)
    with pytest.raises(Conflict, match="is completed"):
        striking.strike(generation=asked, index=0)


def test_a_picture_that_was_never_asked_for_cannot_be_struck(asked: Generation) -> None:
    with pytest.raises(NotFound):
        striking.strike(generation=asked, index=3)


def test_the_result_says_who_cancelled_what(running: Generation) -> None:
    striking.strike(generation=running, index=2)
    tell(running, 0), tell(running, 1)
    said = HANDLER.finish(running.job, {"seconds": 1})["message"]
    assert said == "2 of 3 pictures were made; 1 was cancelled by you."


def test_a_second_try_leaves_struck_pictures_out_unless_all_were(asked: Generation) -> None:
    striking.strike(generation=asked, index=1)
    asked.refresh_from_db()
    assert services.again(generation=asked).struck == [1]
    asked.struck = [0, 1, 2]
    assert services.again(generation=asked).struck == []


def test_the_card_offers_it_for_each_picture_and_says_what_was_cancelled(asked: Generation, client: Client) -> None:
    page = f"/generate/{asked.job.public_id}"
    assert client.get(page).content.decode().count('title="Cancel this picture"') == 3
    answer = client.post(f"{page}/pictures/1/cancel", headers={"HX-Request": "true"}).content.decode()
    assert answer.count('title="Cancel this picture"') == 2 and answer.count("cancelled by you") == 1


def test_without_scripts_the_button_leads_back_to_the_request(asked: Generation, client: Client) -> None:
    page = f"/generate/{asked.job.public_id}"
    assert client.post(f"{page}/pictures/1/cancel").headers["Location"] == page


def test_the_api_cancels_one_picture_and_names_it(asked: Generation, client: Client) -> None:
    address = f"/api/generation/{asked.job.public_id}"
    assert client.post(f"{address}/outputs/1/cancel").json()["cancelled"] == [1]
    assert client.post(f"{address}/outputs/7/cancel").status_code == 404
    client.post(f"{address}/cancel")
    assert client.post(f"{address}/outputs/0/cancel").json()["code"] == "already_ended"


def test_a_grid_offers_it_for_each_cell_and_says_which_was_cancelled(mira: Character, client: Client) -> None:
    axes = [grid.Axis("seed", ("1", "2", "3"))]
    made = grid.start_grid(axes=axes, prompt="a portrait", base="pocket")
    striking.strike(generation=made, index=1)
    page = client.get(f"/generate/{made.job.public_id}/grid").content.decode()
    assert page.count('title="Cancel this picture"') == 2 and page.count("cancelled by you") == 1
