"""Captions over the JSON API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from characters.captions import services
from characters.models import Character, ReferenceImage


@pytest.fixture
def api() -> APIClient:
    return APIClient()


def send(api: APIClient, address: str, status: int = 200, **body: Any) -> Any:
    response = api.post(f"/api/{address}", body, format="json")
    assert response.status_code == status, response.content
    return response.json()


def test_a_caption_is_written_and_read_with_its_training_text(api: APIClient, photo: ReferenceImage) -> None:
    address = f"/api/images/{photo.public_id}/captions"
    api.put(address, {"caption": "a woman, smiling"}, format="json")
    found = api.get(address).json()
    assert (found["caption"], found["by"], found["training_text"]) == ("a woman, smiling", "user", "ohwx, smiling")
    assert [version["text"] for version in found["versions"]] == ["a woman, smiling"]


def test_one_that_is_too_long_is_refused_with_its_code(api: APIClient, photo: ReferenceImage) -> None:
    response = api.put(f"/api/images/{photo.public_id}/captions", {"caption": "x" * 2001}, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "caption_too_long")


def test_an_earlier_text_is_restored_by_its_id(api: APIClient, photo: ReferenceImage) -> None:
    services.write(image=photo, text="first", by="model")
    services.write(image=photo, text="second", by="model")
    number = photo.caption_versions.get(text="first").pk
    found = send(api, f"images/{photo.public_id}/captions/restore", version=number)
    assert [version["text"] for version in found["versions"]] == ["first", "second", "first"]


def test_an_edit_is_previewed_applied_and_undone(api: APIClient, mira: Character) -> None:
    body = {"op": "prefix", "text": "indoors", "all": True, "character": mira.public_id}
    assert send(api, "captions/edit", preview=True, **body)["rows"][0]["after"] == "indoors"
    done = send(api, "captions/edit", **body)
    assert done["changed"] == 3
    assert send(api, "captions/undo", undo=done["undo"]) == {"restored": 3}


def test_an_edit_needs_to_be_told_which_photos(api: APIClient, mira: Character) -> None:
    assert send(api, "captions/edit", 400, op="trigger")["code"] == "nothing_chosen"


def test_an_unknown_edit_is_no_valid_request(api: APIClient, db: None) -> None:
    assert send(api, "captions/edit", 422, op="shout", all=True)["code"] == "invalid_request"


def test_the_lint_says_why(api: APIClient, mira: Character) -> None:
    services.change_all(images=mira.images.all(), change=lambda image: "ohwx with red hair", by="bulk")
    (finding,) = api.get(f"/api/characters/{mira.public_id}/captions/lint").json()
    assert (finding["kind"], finding["phrase"], finding["count"]) == ("trait", "red hair", 3)
    assert "part of the person" in finding["why"]


def test_the_captioners_that_are_not_here_say_where_to_put_them(api: APIClient, db: None) -> None:
    assert all("Download" in one["reason"] for one in api.get("/api/captioners").json())


def test_an_absent_captioner_writes_nothing(api: APIClient, mira: Character) -> None:
    answer = send(api, f"characters/{mira.public_id}/captions/write", 503, models=["blip-base"])
    assert answer["code"] == "captioner_missing"


def test_a_trigger_is_judged(api: APIClient, db: None) -> None:
    found = api.get("/api/trigger", {"word": "emma", "base": "flux-dev"}).json()
    assert (found["good"], [remark["code"] for remark in found["remarks"]]) == (False, ["known"])
    assert len(found["suggestions"]) == 3


def test_a_trigger_for_an_unknown_base_is_refused(api: APIClient, db: None) -> None:
    assert api.get("/api/trigger", {"word": "emma", "base": "x"}).json()["code"] == "unknown_base"
