"""Import and export over the API and the pages: addresses, answers, layouts."""

import errno
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from characters import services
from characters.models import Character, DatasetTask, ReferenceImage
from isengard.body import BoundedBody
from tests.transfer.archives import jpeg, run, zipped


@pytest.fixture
def photos(character: Character) -> list[ReferenceImage]:
    """One to train on with a caption, one without, one for reference only."""
    made = []
    for number, (split, caption) in enumerate([("train", "a woman, smiling"), ("train", ""), ("reference", "")]):
        file = io.BytesIO(jpeg(f"#{number}03060"))
        upload = services.add_image(character=character, file=file, name=f"p{number}.jpg", caption=caption)
        ReferenceImage.objects.filter(pk=upload.image.pk).update(split=split)
        made.append(upload.image)
    return made


def post(api: APIClient, path: str, data: bytes, **fields: str) -> Any:
    return api.post(path, {"archive": SimpleUploadedFile("set.zip", data), **fields}, format="multipart")


def opened(response: Any) -> Mapping[str, bytes]:
    """The downloaded archive's entries, each read and so checked against its sum."""
    with zipfile.ZipFile(io.BytesIO(response.getvalue())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_import_answers_with_its_job_and_later_with_what_became_of_it(api: APIClient, character: Character) -> None:
    sent = post(api, f"/api/characters/{character.public_id}/import", zipped({"a.jpg": jpeg(), "b.exe": b"x"}))
    assert (sent.status_code, sent.json()["state"], sent.json()["photos"]) == (202, "queued", 1)
    run(DatasetTask.objects.get())
    report = api.get(f"/api/imports/{sent.json()['id']}").json()
    assert (report["state"], report["added"], report["refused"][0]["filename"]) == ("completed", 1, "b.exe")


def test_a_hostile_archive_is_refused_in_the_answer(api: APIClient, character: Character) -> None:
    answer = post(api, f"/api/characters/{character.public_id}/import", zipped({"../a.jpg": jpeg()}))
    assert (answer.status_code, answer.json()["code"]) == (400, "hostile_archive")


def test_an_archive_that_the_disk_has_no_room_for_is_refused_and_gone(
    api: APIClient, character: Character, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, raw: bytes, start: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("characters.transfer.sending.TemporaryFileUploadHandler.receive_data_chunk", full)
    answer = post(api, f"/api/characters/{character.public_id}/import", zipped({"a.jpg": jpeg()}))
    assert (answer.status_code, answer.json()["code"]) == (503, "no_space")
    assert list((volume / "tmp").iterdir()) == []


def test_an_import_without_a_file_does_not_fit_the_schema(api: APIClient, character: Character) -> None:
    answer = api.post(f"/api/characters/{character.public_id}/import", {}, format="multipart")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "archive"])


@pytest.mark.parametrize("path", ["/api/characters/char-00000000/import", "/api/characters/nobody/import"])
def test_an_import_into_nobody_is_not_found(api: APIClient, path: str) -> None:
    assert post(api, path, zipped({"a.jpg": jpeg()})).status_code == 404


def test_a_new_character_needs_a_trigger_word_from_somewhere(api: APIClient) -> None:
    answer = post(api, "/api/characters/import", zipped({"a.jpg": jpeg()}))
    assert (answer.status_code, answer.json()["code"], Character.objects.count()) == (400, "bad_trigger_word", 0)


def test_a_new_character_is_named_after_the_file(api: APIClient) -> None:
    post(api, "/api/characters/import", zipped({"a.jpg": jpeg()}), trigger_word="ohwx")
    assert Character.objects.get().name == "set"


def test_our_layout_has_everything_in_it(api: APIClient, character: Character, photos: list[ReferenceImage]) -> None:
    entries = opened(api.get(f"/api/characters/{character.public_id}/export"))
    assert set(entries) == {"isengard.json", "metadata.jsonl", "photos/p0.jpg", "photos/p1.jpg", "photos/p2.jpg"}


def test_hugging_faces_layout_has_texts_as_they_are_trained(
    api: APIClient, character: Character, photos: list[ReferenceImage]
) -> None:
    entries = opened(api.get(f"/api/characters/{character.public_id}/export?layout=imagefolder"))
    lines = [json.loads(line) for line in entries["train/metadata.jsonl"].splitlines()]
    assert [(line["file_name"], line["text"]) for line in lines] == [
        ("p0.jpg", "ohwx, smiling"),
        ("p1.jpg", "a photo of ohwx"),
    ]
    assert {name for name in entries if name.endswith(".jpg")} == {"train/p0.jpg", "train/p1.jpg"}


def test_kohyas_layout_names_its_folder_by_repeats_trigger_and_class(
    api: APIClient, character: Character, photos: list[ReferenceImage]
) -> None:
    entries = opened(api.get(f"/api/characters/{character.public_id}/export?layout=kohya&repeats=7"))
    folder = "7_ohwx woman/"
    assert set(entries) == {f"{folder}p0.jpg", f"{folder}p0.txt", f"{folder}p1.jpg", f"{folder}p1.txt"}
    assert entries[f"{folder}p0.txt"] == b"ohwx, smiling"


@pytest.mark.parametrize("query", ["layout=lmdb", "layout=kohya&repeats=0", "layout=kohya&repeats=x"])
def test_a_layout_that_nobody_offers_does_not_fit_the_schema(api: APIClient, character: Character, query: str) -> None:
    assert api.get(f"/api/characters/{character.public_id}/export?{query}").status_code == 422


@pytest.mark.parametrize("word", ["../x", "a/b", "a\\b", "\x07"])
def test_a_class_word_names_one_folder(
    api: APIClient, character: Character, photos: list[ReferenceImage], word: str
) -> None:
    query = {"layout": "kohya", "class_word": word}
    assert api.get(f"/api/characters/{character.public_id}/export", query).json()["code"] == "bad_class_word"


def test_an_empty_character_has_nothing_to_export(api: APIClient, character: Character) -> None:
    assert api.get(f"/api/characters/{character.public_id}/export").json()["code"] == "nothing_to_export"


def test_a_selection_of_two_characters_keeps_their_files_apart(
    api: APIClient, character: Character, photos: list[ReferenceImage]
) -> None:
    other = services.create_character(name="Joon", trigger_word="joonx")
    second = services.add_image(character=other, file=io.BytesIO(jpeg()), name="p0.jpg").image
    chosen = {"image_ids": [photos[0].public_id, second.public_id]}
    entries = opened(api.post("/api/images/export", chosen))
    assert {f"photos/{one.public_id}/p0.jpg" for one in (character, other)} <= set(entries)


@pytest.mark.parametrize("layout", ["isengard", "imagefolder", "kohya"])
def test_no_two_photos_overwrite_each_other_where_case_counts_for_nothing(
    api: APIClient, character: Character, layout: str
) -> None:
    for number, name in enumerate(("A.jpg", "a.jpg", "CON.jpg")):
        services.add_image(character=character, file=io.BytesIO(jpeg(f"#{number}03060")), name=name)
    names = opened(api.get(f"/api/characters/{character.public_id}/export?layout={layout}"))
    found = sorted(name.rpartition("/")[2].casefold() for name in names if name.endswith(".jpg"))
    assert found == ["_con.jpg", "a-2.jpg", "a.jpg"]


def test_a_selection_of_nothing_is_refused(api: APIClient, character: Character) -> None:
    assert api.post("/api/images/export", {"image_ids": []}).json()["code"] == "nothing_chosen"


def test_an_unknown_import_is_not_found(api: APIClient) -> None:
    assert api.get("/api/imports/data-000000000000").status_code == 404


def test_the_page_leads_to_the_report_and_the_report_tells_the_reasons(client: Client, character: Character) -> None:
    file = SimpleUploadedFile("set.zip", zipped({"a.jpg": jpeg(), "b.<b>x</b>": b"x"}))
    answer = client.post(f"/characters/{character.public_id}/import", {"archive": file})
    run(DatasetTask.objects.get())
    page = client.get(answer["Location"]).content.decode()
    assert "1 of 1 photo added" in page
    assert "b.&lt;b&gt;x&lt;/b&gt;" in page


def test_the_page_says_at_the_field_what_is_wrong_with_the_archive(client: Client, character: Character) -> None:
    file = SimpleUploadedFile("set.zip", zipped({"../a.jpg": jpeg()}))
    page = client.post(f"/characters/{character.public_id}/import", {"archive": file})
    assert page.status_code == 422
    assert "Nothing of this archive was imported." in page.content.decode()


@pytest.mark.parametrize(
    "path", ["/characters/import", "/characters/{}/import", "/characters/{}/export", "/dataset/export"]
)
def test_every_page_opens(client: Client, character: Character, path: str) -> None:
    assert client.get(path.format(character.public_id)).status_code == 200


def test_an_archive_may_be_larger_than_another_request(settings: Any) -> None:
    from isengard.asgi import application

    http = application.application_mapping["http"]
    assert isinstance(http, BoundedBody)
    assert http.larger["/import"] == settings.ARCHIVE_REQUEST_MAX_BYTES
