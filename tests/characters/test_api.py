"""The characters API against the original's contract."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from characters import services
from characters.browse import binning
from characters.models import Character, ReferenceImage
from isengard.throttles import FairUse
from tests.characters.conftest import Upload
from tests.pictures import encoded, picture

NINE = {
    "id",
    "name",
    "description",
    "trigger_word",
    "created_at",
    "updated_at",
    "image_count",
    "lora_path",
    "lora_trained_at",
}


def test_a_character_is_made_with_all_nine_members(api: APIClient) -> None:
    response = api.post("/api/characters", {"name": "E2E Mira", "trigger_word": "e2e_mira"})
    body = response.json()
    assert response.status_code == 201
    assert set(body) == NINE
    assert re.fullmatch(r"char-[0-9a-f]{8}", body["id"])
    assert (body["image_count"], body["description"], body["lora_path"]) == (0, None, None)


def test_the_correlation_id_is_echoed_on_create(api: APIClient) -> None:
    body = {"name": "Mira", "trigger_word": "ohwx"}
    assert api.post("/api/characters", body, headers={"X-Correlation-ID": "fe-9"})["X-Correlation-ID"] == "fe-9"


def test_the_list_is_newest_first(api: APIClient) -> None:
    for name in ("one", "two", "three"):
        services.create_character(name=name, trigger_word="ohwx")
    assert [item["name"] for item in api.get("/api/characters").json()] == ["three", "two", "one"]


def test_an_unchanged_list_is_not_sent_twice(api: APIClient, character: Character) -> None:
    tag = api.get("/api/characters")["ETag"]
    assert api.get("/api/characters", headers={"If-None-Match": tag}).status_code == 304
    services.create_character(name="new", trigger_word="ohwx")
    assert api.get("/api/characters", headers={"If-None-Match": tag}).status_code == 200


def test_pages_by_key_show_every_character_once(api: APIClient) -> None:
    made = [services.create_character(name=f"c{number}", trigger_word="ohwx").public_id for number in range(5)]
    seen: list[str] = []
    while page := api.get("/api/characters", {"limit": 2, **({"after": seen[-1]} if seen else {})}).json():
        seen += [item["id"] for item in page]
    assert seen == made[::-1]


def test_the_list_costs_the_same_queries_for_many_as_for_one(
    api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        services.create_character(name=f"c{number}", trigger_word="ohwx")
    with django_assert_num_queries(2):
        api.get("/api/characters")


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_an_unknown_character_is_404_by_its_sentence(api: APIClient, method: str) -> None:
    response = getattr(api, method)("/api/characters/char-00000000")
    assert response.status_code == 404
    assert response.json()["detail"] == "Character char-00000000 not found"


def test_a_patch_changes_what_it_names_and_bumps_the_time(api: APIClient, character: Character) -> None:
    body = api.patch(f"/api/characters/{character.public_id}", {"name": "New", "description": "tall"}).json()
    assert (body["name"], body["description"], body["trigger_word"]) == ("New", "tall", "ohwx")
    changed = parse_datetime(body["updated_at"])
    assert changed is not None
    assert changed > character.updated_at


def test_null_leaves_a_field_and_an_empty_description_clears_it(api: APIClient, character: Character) -> None:
    address = f"/api/characters/{character.public_id}"
    api.patch(address, {"description": "tall"})
    assert api.patch(address, {"name": None, "description": None}).json()["description"] == "tall"
    assert api.patch(address, {"description": ""}).json()["description"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "trigger_word": "ohwx"},
        {"name": "x" * 101, "trigger_word": "ohwx"},
        {"name": "x", "trigger_word": "o"},
        {"name": "x", "trigger_word": "o" * 51},
        {"name": "x", "trigger_word": "ohwx", "description": "x" * 501},
        {"name": ["x"], "trigger_word": "ohwx"},
    ],
)
def test_lengths_out_of_bounds_are_schema_errors(api: APIClient, body: dict[str, Any]) -> None:
    assert api.post("/api/characters", body).status_code == 422


def test_two_characters_may_share_a_trigger_word(api: APIClient, character: Character) -> None:
    assert api.post("/api/characters", {"name": "Other", "trigger_word": "ohwx"}).status_code == 201


def test_delete_answers_204_and_then_404(api: APIClient, character: Character) -> None:
    address = f"/api/characters/{character.public_id}"
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404


def test_a_new_character_has_no_images(api: APIClient, character: Character) -> None:
    assert api.get(f"/api/characters/{character.public_id}/images").json() == {"images": [], "count": 0}


def test_an_uploaded_png_keeps_its_name(upload: Upload) -> None:
    body = upload(("test.png", encoded(picture(1, 1))))
    assert body == {"uploaded": ["test.png"], "rejected": [], "skipped": [], "total_images": 1}


def test_one_bad_file_among_good_ones_is_refused_alone(upload: Upload) -> None:
    body = upload(("a.png", encoded(picture(90))), ("b.png", b"no"), ("c.png", encoded(picture(80))))
    assert body["uploaded"] == ["a.png", "c.png"]
    assert body["rejected"][0]["filename"] == "b.png"
    assert body["rejected"][0]["code"] == "not_an_image"
    assert body["total_images"] == 2


def test_an_upload_without_files_is_a_schema_error(api: APIClient, character: Character) -> None:
    response = api.post(f"/api/characters/{character.public_id}/images", {"file": "x"}, format="multipart")
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "files"]


def test_an_upload_to_an_unknown_character_is_404(api: APIClient) -> None:
    response = api.post("/api/characters/char-00000000/images", {"files": []}, format="multipart")
    assert response.status_code == 404


def test_the_next_upload_waits_when_a_minute_has_had_its_number(
    api: APIClient, character: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FairUse.THROTTLE_RATES, "upload", "20/min")
    address = f"/api/characters/{character.public_id}/images"
    statuses = [api.post(address, {}, format="multipart").status_code for _ in range(21)]
    assert (statuses[19], statuses[20]) == (422, 429)
    assert api.get(address).status_code == 200


def test_an_image_is_served_inline_as_what_it_is(api: APIClient, upload: Upload, character: Character) -> None:
    upload()
    response = api.get(f"/api/characters/{character.public_id}/images/test.png")
    assert response["Content-Type"] == "image/png"
    assert response["Content-Disposition"].startswith("inline")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_a_kept_image_does_not_depend_on_cookies(upload: Upload, character: Character) -> None:
    upload()
    assert "Cookie" not in Client().get(character.images.get().get_absolute_url()).get("Vary", "")


def test_an_image_is_not_sent_twice(api: APIClient, upload: Upload, character: Character) -> None:
    upload()
    address = f"/api/characters/{character.public_id}/images/test.png"
    assert api.get(address, headers={"If-None-Match": api.get(address)["ETag"]}).status_code == 304


def test_only_an_address_with_its_version_may_be_kept_for_good(upload: Upload, character: Character) -> None:
    upload()
    image = character.images.get()
    client = Client()
    assert "immutable" in client.get(image.get_absolute_url())["Cache-Control"]
    assert client.get(image.get_absolute_url().split("?")[0])["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("name", ["other.png", "..", "%2e%2e%2fsecret-key", "..%5csecret-key", "a%00.png"])
def test_an_unknown_image_name_is_404(api: APIClient, upload: Upload, character: Character, name: str) -> None:
    upload()
    assert api.get(f"/api/characters/{character.public_id}/images/{name}").status_code == 404


def test_a_deleted_image_is_gone_at_once_and_its_files_after_the_minute_of_undo(
    api: APIClient, upload: Upload, character: Character, volume: Path, django_capture_on_commit_callbacks: Any
) -> None:
    upload()
    address = f"/api/characters/{character.public_id}/images/test.png"
    with django_capture_on_commit_callbacks(execute=True):
        assert api.delete(address).status_code == 204
        assert api.get(address).status_code == 404
        ReferenceImage.everything.update(deleted_at=timezone.now() - timedelta(seconds=61))
        assert binning.purge() == 1
    assert [path for path in (volume / "characters").rglob("*") if path.is_file()] == []
