"""The doctor's panels and what their buttons do; the same over the API."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from PIL import Image
from rest_framework.test import APIClient

from characters.doctor import copies, services, shown, writing
from characters.doctor.handlers import ExamineHandler
from characters.models import Character, Crop, ReferenceImage
from tests.doctor.conftest import FACE, Add, portrait, told

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def pair(character: Character, add: Add) -> ReferenceImage:
    """A photo of two people, as the doctor found it."""
    image = add(portrait())
    faces = [FACE, {**FACE, "x": 0.1}]
    writing.record(character=character.pk, answers=[told(image, faces=faces)])
    return image


def post(client: Client, image: ReferenceImage, action: str, **data: str) -> str:
    return client.post(f"/photos/{image.public_id}/verdict/{action}", data, **HTMX).content.decode()


def test_the_panel_says_what_is_wrong_and_offers_a_way_out(client: Client, pair: ReferenceImage) -> None:
    page = client.get(f"/photos/{pair.public_id}/verdict").content.decode()
    assert "2 people" in page and 'value="crop_face"' in page and "Keep anyway" in page


def test_a_photo_nobody_looked_at_offers_a_check(client: Client, add: Add) -> None:
    image = add(portrait())
    assert "Check now" in client.get(f"/photos/{image.public_id}/verdict").content.decode()
    client.post(f"/photos/{image.public_id}/verdict/check")
    assert services.running(image.character) is not None


def test_cropping_to_the_face_settles_a_second_person(client: Client, pair: ReferenceImage) -> None:
    page = post(client, pair, "fix", code="second_face", fix="crop_face")
    crop = Crop.objects.get(image=pair, kind="main")
    assert crop.width < 0.8 and "Ready" in page


def test_keeping_anyway_and_minding_again(client: Client, pair: ReferenceImage) -> None:
    assert "You kept it anyway" in post(client, pair, "keep", code="second_face")
    assert "Keep anyway" in post(client, pair, "keep", code="second_face", undo="1")


def test_as_reference_it_leaves_the_training(client: Client, pair: ReferenceImage) -> None:
    post(client, pair, "fix", code="second_face", fix="reference")
    assert pair.character.images.get().split == "reference"


def test_removing_goes_back_to_the_photos(client: Client, pair: ReferenceImage) -> None:
    answer = client.post(f"/photos/{pair.public_id}/verdict/fix", {"code": "second_face", "fix": "remove"}, **HTMX)
    assert answer.headers["HX-Redirect"].endswith("?tab=photos") and not ReferenceImage.objects.exists()


def test_turning_stands_the_photo_up_and_keeps_what_was_said_of_it(client: Client, add: Add) -> None:
    image = add(portrait().resize((300, 200)))
    ReferenceImage.objects.update(caption="in orange")
    writing.record(character=image.character_id, answers=[told(image, turn=1)])
    post(client, image, "fix", code="sideways", fix="turn_1")
    turned = ReferenceImage.objects.get()
    assert (turned.width, turned.height, turned.caption, turned.name) == (200, 300, "in orange", "photo.png")


@pytest.mark.parametrize(("code", "fix"), [("blurred", "remove"), ("second_face", "burn")])
def test_what_was_not_offered_is_refused(client: Client, pair: ReferenceImage, code: str, fix: str) -> None:
    answer = client.post(f"/photos/{pair.public_id}/verdict/fix", {"code": code, "fix": fix}, **HTMX)
    assert answer.status_code in {400, 404} and ReferenceImage.objects.exists()


def copied(character: Character, add: Add) -> tuple[ReferenceImage, ReferenceImage]:
    best, lesser = add(portrait(), "best.png"), add(portrait().resize((300, 300)), "lesser.png")
    answers = [told(best, sharpness=900.0), told(lesser)]
    writing.record(character=character.pk, answers=answers)
    copies.settle(character=character.pk)
    return best, lesser


def test_one_click_keeps_the_best_and_can_be_undone(client: Client, character: Character, add: Add) -> None:
    best, _ = copied(character, add)
    address = f"/characters/{character.public_id}/doctor"
    assert "remove 1" in client.get(address).content.decode()
    answer = client.post(f"{address}/keep-best", {"best": best.public_id}, **HTMX)
    assert list(character.images.all()) == [best] and "undo" in answer.headers["HX-Trigger"]


def test_the_panel_advises_and_offers_the_stronger_detector(client: Client, character: Character, add: Add) -> None:
    add(portrait())
    page = client.get(f"/characters/{character.public_id}/doctor").content.decode()
    assert "1 photo rarely" in page or "1 photo" in page
    assert "face_detection_yunet" in page


def test_the_stronger_detector_is_used_as_soon_as_its_file_lies_there(
    client: Client, character: Character, add: Add, settings: Any, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path
    for name in ("face_detection_yunet_2023mar.onnx", "face_detection_yunet_2023mar_int8.onnx"):
        (tmp_path / name).write_bytes(b"weights")
    add(portrait())
    spec = ExamineHandler().spec(services.check_again(character=character))
    assert spec["yunet"] == str(tmp_path / "face_detection_yunet_2023mar.onnx")
    assert "With YuNet" in client.get(f"/characters/{character.public_id}/doctor").content.decode()


def test_check_again_starts_one_job_however_often_it_is_pressed(client: Client, character: Character, add: Add) -> None:
    add(portrait())
    for _ in range(2):
        client.post(f"/characters/{character.public_id}/doctor/check", **HTMX)
    assert character.dataset_tasks.count() == 1


def test_a_selection_is_checked_per_character(client: Client, pair: ReferenceImage) -> None:
    client.post("/dataset/examine", {"image_ids": [pair.public_id]}, **HTMX)
    assert services.running(pair.character) is not None


def test_the_job_page_leads_to_the_photos(client: Client, character: Character, add: Add) -> None:
    add(portrait())
    job = services.check_again(character=character)
    assert client.get(f"/dataset/examine/{job.public_id}").headers["Location"].endswith("?tab=photos")


def test_the_api_tells_and_waves_through(api: APIClient, pair: ReferenceImage) -> None:
    address = f"/api/images/{pair.public_id}/examination"
    before = api.get(address).json()
    after = api.patch(address, {"code": "second_face"}).json()
    assert (before["findings"][0]["code"], before["verdict"], after["verdict"]) == ("second_face", "attention", "ready")


def test_the_api_answers_for_a_photo_nobody_looked_at(api: APIClient, add: Add) -> None:
    image = add(Image.new("RGB", (64, 64)))
    told_of = api.get(f"/api/images/{image.public_id}/examination").json()
    assert (told_of["verdict"], told_of["sharpness"], told_of["findings"]) == ("unchecked", None, [])


def test_the_api_reports_the_set_and_checks_it(api: APIClient, character: Character, add: Add) -> None:
    best, lesser = copied(character, add)
    address = f"/api/characters/{character.public_id}/examine"
    report = api.get(address).json()
    assert report["duplicates"] == [{"best": best.public_id, "copies": [lesser.public_id]}]
    assert api.post(address).status_code == 202 and api.get(address).json()["job"]


def test_a_check_that_ended_before_the_page_saw_it_has_the_tiles_fetched_again(
    client: Client, character: Character, add: Add
) -> None:
    image, address = add(portrait()), f"/characters/{character.public_id}/doctor"
    seen = shown.report(character).seen
    writing.record(character=character.pk, answers=[told(image)])
    answer = client.get(address, {"seen": seen}, **HTMX)
    assert answer.headers["HX-Trigger"] == "photos:changed"
    assert "HX-Trigger" not in client.get(address, {"seen": shown.report(character).seen}, **HTMX).headers


def test_a_turned_photo_leads_back_to_the_list_it_was_opened_from(client: Client, add: Add) -> None:
    image = add(portrait())
    writing.record(character=image.character_id, answers=[told(image, turn=1)])
    address, data = f"/photos/{image.public_id}/verdict/fix", {"code": "sideways", "fix": "turn_1"}
    answer = client.post(address, data, **HTMX, HTTP_HX_CURRENT_URL="http://x/photos/y?hub=1&sort=name")
    assert answer.headers["HX-Redirect"].endswith(f"/photos/{ReferenceImage.objects.get().public_id}?hub=1&sort=name")
