"""The gallery hears of pictures that are made while it is open: what it asks, and when it is told."""

import re
from html import unescape

import pytest
from django.test import Client

from characters.models import Character
from generation import services
from generation.models import Output
from isengard.jobs.models import Job
from tests.pages.rows import HTMX, add_output, pictured, text

ME = "/pictures"


def asked(page: str) -> str:
    """Where the page asks for news."""
    return unescape(re.findall(r'id="live" hx-get="([^"]+)"', page)[0])


def test_nothing_new_is_no_answer(client: Client, outputs: list[Output]) -> None:
    assert client.get(asked(text(client.get(ME))), headers=HTMX).status_code == 204


def test_a_newer_picture_is_told_of_once(client: Client, mira: Character, outputs: list[Output]) -> None:
    before = asked(text(client.get(ME)))
    add_output(pictured(mira, made=0), 0)
    answer = text(client.get(before, headers=HTMX))
    assert "1 new picture<" in answer and 'hx-trigger="intersect"' in answer
    assert client.get(asked(answer), headers=HTMX).status_code == 204


def test_the_fetched_grid_begins_with_it_and_knows_it(client: Client, mira: Character, outputs: list[Output]) -> None:
    add_output(pictured(mira, made=0), 0)
    grid = text(client.get(f"{ME}/grid", headers=HTMX))
    assert grid.count("data-viewer-item") == 6
    assert client.get(asked(grid), headers=HTMX).status_code == 204


def test_an_empty_gallery_hears_of_the_first_picture(client: Client, mira: Character) -> None:
    before = asked(text(client.get(ME)))
    add_output(pictured(mira, made=0), 0)
    assert "1 new picture<" in text(client.get(before, headers=HTMX))


def test_pictures_that_the_filter_hides_are_no_news(client: Client, mira: Character, outputs: list[Output]) -> None:
    before = asked(text(client.get(f"{ME}?favourite=1")))
    add_output(pictured(mira, made=0), 0)
    assert client.get(before, headers=HTMX).status_code == 204


def test_while_pictures_are_drawn_it_asks_every_other_second(client: Client, mira: Character) -> None:
    before = asked(text(client.get(ME)))
    started = services.start_generation(prompt="smiling", character=mira)
    drawing = text(client.get(before, headers=HTMX))
    assert "every 2s" in drawing and "load" not in drawing
    Job.objects.filter(pk=started.job_id).update(state=Job.State.COMPLETED)
    assert "every" not in text(client.get(asked(drawing), headers=HTMX))


@pytest.mark.parametrize("query", ["?sort=best", "?sort=oldest", "?cursor=last"])
def test_only_the_first_page_of_the_newest_asks(client: Client, outputs: list[Output], query: str) -> None:
    assert 'id="live"' not in text(client.get(f"{ME}{query}"))


def test_rubbish_in_the_question_is_as_good_as_nothing(client: Client, outputs: list[Output]) -> None:
    address = f"{ME}/live?after={'9' * 5000}&count=x"
    assert client.get(address, headers=HTMX).status_code == 200
    assert client.get(f"{ME}/live?after=-3", headers=HTMX).status_code == 200


def test_a_characters_own_gallery_asks_for_its_own(client: Client, mira: Character, outputs: list[Output]) -> None:
    address = asked(text(client.get(f"/characters/{mira.public_id}/pictures")))
    assert f"character={mira.public_id}" in address and "tab=pictures" in address
