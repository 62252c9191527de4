"""The JSON API of the gallery: pages, marks, boards, archives, storage, training pictures."""

import io
import zipfile

import pytest
from rest_framework.test import APIClient

from characters.models import Character
from generation.gallery import services, staging
from generation.models import Board, Output
from tests.pages.rows import add_output, put


def test_pages_follow_one_another(api: APIClient, outputs: list[Output]) -> None:
    first = api.get("/api/outputs?limit=3").json()
    rest = api.get(f"/api/outputs?limit=3&cursor={first['next']}").json()
    ids = [row["id"] for page in (first, rest) for row in page["outputs"]]
    assert ids == [output.public_id for output in reversed(outputs)] and rest["next"] == ""


def test_a_picture_says_everything_about_itself(api: APIClient, mira: Character, outputs: list[Output]) -> None:
    row = api.get("/api/outputs?limit=1").json()["outputs"][0]
    assert (row["prompt"], row["character_id"], row["tool"]) == (outputs[4].words, mira.public_id, "draw")
    assert (row["favourite"], row["rating"], row["media_type"]) == (False, 0, "image")


def test_hearts_and_stars_are_given_and_found(api: APIClient, outputs: list[Output]) -> None:
    asked = {"output_ids": [outputs[0].public_id], "to_favourite": True, "to_rating": 5}
    assert api.post("/api/outputs/mark", asked).json() == {"count": 1}
    found = api.get("/api/outputs?favourite=true&rating=5").json()["outputs"]
    assert [row["id"] for row in found] == [outputs[0].public_id]


@pytest.mark.parametrize("asked", [{}, {"output_ids": []}, {"output_ids": ["gen-x-0"], "to_rating": 9}])
def test_a_mark_of_nothing_or_too_much_is_refused(api: APIClient, db: None, asked: dict[str, object]) -> None:
    assert api.post("/api/outputs/mark", asked).status_code in {400, 422}


def test_a_filters_name_is_no_mark(api: APIClient, outputs: list[Output]) -> None:
    asked = {"output_ids": [outputs[0].public_id], "rating": 5, "favourite": True}
    assert api.post("/api/outputs/mark", asked).status_code == 422


def test_a_board_made_twice_at_one_moment_is_made_once(
    api: APIClient, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Board.objects.create(name="Best")
    monkeypatch.setattr(services, "_free_name", lambda name: name)
    assert api.post("/api/boards", {"name": "Best"}).json()["code"] == "name_taken"


def test_what_was_deleted_comes_back(api: APIClient, outputs: list[Output]) -> None:
    gone = api.post("/api/outputs/delete", {"all": True, "except_ids": [outputs[0].public_id]}).json()
    assert (gone["count"], Output.objects.count()) == (4, 1)
    assert api.post("/api/outputs/undo", {"undo": gone["undo"]}).json() == {"count": 4}


def test_boards_are_made_filled_renamed_and_deleted(api: APIClient, outputs: list[Output]) -> None:
    board = api.post("/api/boards", {"name": "Best"}).json()["id"]
    ids = {"output_ids": [output.public_id for output in outputs[:2]]}
    assert api.post(f"/api/boards/{board}/add", ids).json() == {"count": 2}
    assert api.patch(f"/api/boards/{board}", {"name": "Better"}).json()["count"] == 2
    assert len(api.get(f"/api/outputs?board={board}").json()["outputs"]) == 2
    assert api.post(f"/api/boards/{board}/remove", ids).json() == {"count": 2}
    assert api.delete(f"/api/boards/{board}").status_code == 204 and api.get("/api/boards").json() == []


def test_an_unknown_board_is_404(api: APIClient, db: None) -> None:
    assert api.patch("/api/boards/77", {"name": "x"}).status_code == 404


def test_the_archive_comes_over_the_api(api: APIClient, outputs: list[Output]) -> None:
    answer = api.post("/api/outputs/zip", {"all": True, "recipes": False})
    with zipfile.ZipFile(io.BytesIO(b"".join(answer))) as archive:
        assert len(archive.namelist()) == 5


def test_storage_and_its_rule(api: APIClient, outputs: list[Output]) -> None:
    assert api.get("/api/outputs/storage").json()["count"] == 5
    assert api.get("/api/outputs/storage/rule").json() == {"after_days": None, "keep_rating": 1}
    assert api.put("/api/outputs/storage/rule", {"after_days": 30}).json() == {"after_days": 30, "keep_rating": 1}


def test_training_pictures_are_asked_for_kept_and_discarded(api: APIClient, mira: Character) -> None:
    address = f"/api/characters/{mira.public_id}/synthetic"
    job = api.post(address, {"count": 2}).json()["id"]
    asked = staging.requests(mira).get(job__public_id=job)
    put(asked.job, "completed")
    ids = [add_output(asked, index).public_id for index in range(2)]
    assert {row["id"] for row in api.get(address).json()} == set(ids)
    assert api.post(f"{address}/keep", {"output_ids": ids[:1]}).json() == {"added": 1, "known": 0}
    assert api.post(f"{address}/discard", {"output_ids": ids}).json()["count"] == 1


def test_a_picture_is_served_inline_with_type_validator_and_for_good(api: APIClient, outputs: list[Output]) -> None:
    answer = api.get(outputs[0].url)
    assert (answer["Content-Type"], answer["Content-Disposition"].partition(";")[0]) == ("image/png", "inline")
    assert "immutable" in answer["Cache-Control"] and answer["Accept-Ranges"] == "bytes"
    assert api.get(outputs[0].url, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert api.get(outputs[0].url, headers={"Range": "bytes=0-7"}).content == b"\x89PNG\r\n\x1a\n"


def test_a_style_is_deleted_whatever_it_is_called(api: APIClient, db: None) -> None:
    api.post("/api/generation/styles", {"name": "film/old", "text": "{prompt}, film"})
    assert api.delete("/api/generation/styles/film/old").status_code == 204
