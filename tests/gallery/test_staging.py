"""Training pictures that the studio makes: asked for, kept one by one or all, thrown away; never kept by themselves."""

import json
from typing import Any

import pytest
from django.test import Client

from characters.models import Character, ReferenceImage
from generation.gallery import staging
from generation.models import Generation, Output
from tests.pages.rows import HTMX, add_output, put, text


@pytest.fixture
def staged(mira: Character) -> list[Output]:
    """Two training pictures, made and waiting; photos and other pictures of hers are around."""
    asked = staging.start(character=mira, count=2)
    put(asked.job, "completed")
    return [add_output(asked, index) for index in range(2)]


def at(mira: Character, act: str = "") -> str:
    return f"/characters/{mira.public_id}/synthetic{act}"


def synthetic(mira: Character) -> Any:
    return mira.images.filter(split=ReferenceImage.Split.SYNTHETIC)


def test_asking_makes_a_request_of_its_own_kind_with_different_words(client: Client, mira: Character) -> None:
    client.post(at(mira), {"prompt": "", "count": "4"})
    made = Generation.objects.get()
    assert (made.purpose, made.count, made.character) == ("synthetic", 4, mira)
    words = [variant["prompt"] for variant in made.variants]
    assert all("ohwxmira" in each and "{" not in each for each in words) and len(words) == 4


@pytest.mark.parametrize("count", ["0", "9", "x"])
def test_only_one_to_eight_can_be_asked_for(client: Client, mira: Character, count: str) -> None:
    answer = client.post(at(mira), {"prompt": "", "count": count})
    assert answer.status_code == 422 and not Generation.objects.exists()


def test_nothing_is_among_the_photos_before_somebody_keeps_it(mira: Character, staged: list[Output]) -> None:
    assert not synthetic(mira).exists() and list(staging.waiting(mira)) == [staged[1], staged[0]]


def test_a_kept_picture_is_a_synthetic_photo_and_waits_no_more(
    client: Client, mira: Character, staged: list[Output]
) -> None:
    client.post(at(mira, "/keep"), {"image_ids": staged[0].public_id}, headers=HTMX)
    photo = synthetic(mira).get()
    assert photo.made_by == staged[0].generation.job.public_id and photo.caption == staged[0].words
    assert list(staging.waiting(mira)) == [staged[1]]


def test_all_are_kept_at_once(client: Client, mira: Character, staged: list[Output]) -> None:
    said = client.post(at(mira, "/keep"), {"everything": "1"}, headers=HTMX)["HX-Trigger"]
    assert synthetic(mira).count() == 1 and "had been there already" in said  # both files are the same picture
    assert not staging.waiting(mira).exists()


def test_a_discarded_picture_is_gone_and_comes_back_by_undo(
    client: Client, mira: Character, staged: list[Output]
) -> None:
    answer = client.post(at(mira, "/discard"), {"image_ids": staged[0].public_id}, headers=HTMX)
    assert Output.everything.get(pk=staged[0].pk).verdict == "discarded" and staging.waiting(mira).count() == 1
    client.post(json.loads(answer["HX-Trigger"])["toast"]["undo"], headers=HTMX)
    assert staging.waiting(mira).count() == 2


def test_another_characters_pictures_are_not_touched(client: Client, mira: Character, staged: list[Output]) -> None:
    other = Character.objects.create(name="Joon", trigger_word="ohwxjoon")
    client.post(at(other, "/discard"), {"image_ids": staged[0].public_id}, headers=HTMX)
    assert staging.waiting(mira).count() == 2


def test_the_page_shows_what_waits(client: Client, mira: Character, staged: list[Output]) -> None:
    page = text(client.get(at(mira)))
    assert "2 wait for a yes or a no" in page and staged[0].public_id in page


def test_somebody_untrained_is_sent_to_training(client: Client, mira: Character) -> None:
    mira.loras.all().delete()
    page = text(client.get(at(mira)))
    assert "Start Training" in page and client.post(at(mira), {"count": "1"}).status_code == 422
