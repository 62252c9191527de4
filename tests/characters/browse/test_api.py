"""The dataset over the JSON API: list, one photo, bulk changes, tags."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from characters.browse import tags
from characters.models import Character
from isengard import storage
from tests.people import make_character


@pytest.fixture
def mira(api: APIClient) -> Character:
    return make_character("Mira", photos=3)


def post(api: APIClient, action: str, **body: Any) -> Any:
    answer = api.post(f"/api/images/{action}", body)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_the_list_pages_through_all_characters(api: APIClient, mira: Character) -> None:
    first = api.get("/api/images?limit=2&sort=name").json()
    rest = api.get(f"/api/images?limit=2&sort=name&cursor={first['next']}").json()
    assert [image["filename"] for image in first["images"] + rest["images"]] == [f"photo-{n}.png" for n in range(3)]
    assert (first["previous"], rest["next"]) == ("", "")


def test_a_photo_says_everything_about_itself(api: APIClient, mira: Character) -> None:
    tags.tag_images(mira.images.filter(name="photo-0.png"), ["smile", "beach"])
    image = api.get("/api/images?q=beach").json()["images"][0]
    assert (image["character"], image["split"], image["tags"]) == (mira.public_id, "train", ["beach", "smile"])
    assert api.get(image["url"]).status_code == 200
    assert api.get(f"/api/images/{image['id']}").json() == {**image, "recipe": None}


def test_a_photo_whose_file_is_gone_is_told_as_missing(api: APIClient, mira: Character) -> None:
    storage.remove(mira.images.get(name="photo-1.png").file)
    assert [image["missing"] for image in api.get("/api/images?sort=name").json()["images"]] == [False, True, False]


@pytest.mark.parametrize("query", ["split=trian", "sort=best", "limit=0", "limit=501", "verdict=good", "caption=long"])
def test_nonsense_in_the_query_is_422(api: APIClient, query: str) -> None:
    assert api.get(f"/api/images?{query}").status_code == 422


def test_a_broken_cursor_is_told(api: APIClient) -> None:
    assert api.get("/api/images?cursor=zzz").json()["code"] == "bad_cursor"


def test_one_photo_is_changed(api: APIClient, mira: Character) -> None:
    address = f"/api/images/{mira.images.get(name='photo-0.png').public_id}"
    body = {"split": "reference", "tags": ["Night"], "caption": " a street "}
    changed = api.patch(address, body).json()
    assert (changed["split"], changed["tags"], changed["caption"]) == ("reference", ["night"], "a street")
    assert api.patch(address, {"tags": []}).json()["tags"] == []


def test_deleting_one_photo_can_be_undone(api: APIClient, mira: Character) -> None:
    address = f"/api/images/{mira.images.get(name='photo-0.png').public_id}"
    undo = api.delete(address).json()["undo"]
    assert api.get(address).status_code == 404
    assert post(api, "undo", undo=undo) == {"count": 1, "here_again": 0}
    assert api.get(address).status_code == 200


def test_named_photos_are_deleted_together(api: APIClient, mira: Character) -> None:
    ids = [image.public_id for image in mira.images.all()[:2]]
    assert post(api, "delete", image_ids=ids)["count"] == 2
    assert mira.images.count() == 1


def test_all_of_a_filter_change_their_split_although_the_filter_has_one_too(api: APIClient, mira: Character) -> None:
    assert post(api, "split", all=True, split="train", to_split="reference") == {"count": 3}
    assert api.get("/api/images/totals").json()["splits"] == {"train": 0, "reference": 3, "synthetic": 0}


def test_totals_of_one_character(api: APIClient, mira: Character) -> None:
    make_character("Joon", "ohwxjoon", photos=1)
    assert api.get(f"/api/images/totals?character={mira.public_id}").json()["all"] == 3


def test_photos_move_to_another_character(api: APIClient, mira: Character) -> None:
    joon = make_character("Joon", "ohwxjoon", photos=0)
    moved = post(api, "move", all=True, character=mira.public_id, to_character=joon.public_id)
    assert moved == {"count": 3, "skipped": []}
    assert api.get(f"/api/images?character={joon.public_id}").json()["images"][0]["character"] == joon.public_id


def test_tags_are_given_counted_renamed_merged_and_taken(api: APIClient, mira: Character) -> None:
    assert post(api, "tag", all=True, tags=["Smile", "a/b"]) == {"count": 3}
    assert api.get("/api/tags?begins=sm").json() == [{"name": "smile", "count": 3}]
    assert api.patch("/api/tags/a/b", {"name": "grin"}).json() == {"name": "grin"}
    assert api.post("/api/tags", {"tags": ["grin"], "into": "smile"}).json() == {"name": "smile"}
    assert post(api, "untag", all=True, tags=["smile"]) == {"count": 3}
    assert api.get("/api/tags").json() == []


def test_a_tag_is_taken_off_everywhere(api: APIClient, mira: Character) -> None:
    post(api, "tag", all=True, tags=["smile"])
    assert api.delete("/api/tags/smile").json() == {"count": 3}
    assert api.delete("/api/tags/smile").status_code == 404


@pytest.mark.parametrize("body", [{}, [], {"all": True, "split": "trian"}, {"image_ids": ["x"] * 2001}])
def test_a_selection_of_nothing_or_too_much_is_refused(api: APIClient, mira: Character, body: Any) -> None:
    assert api.post("/api/images/delete", body).status_code in {400, 422}
    assert mira.images.count() == 3


def test_a_tag_of_300_characters_is_refused_with_its_reason(api: APIClient, mira: Character) -> None:
    answer = api.post("/api/images/tag", {"all": True, "tags": ["x" * 300]})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_tag")


@pytest.mark.parametrize("path", ["/api/images/{image_id}", "/api/tags/{name}"])
def test_a_deletion_that_answers_is_described_with_its_answer(api: APIClient, path: str) -> None:
    described = api.get("/openapi.json").json()["paths"][path]["delete"]["responses"]
    assert "application/json" in described["200"]["content"]
