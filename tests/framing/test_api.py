"""Crops and masks over the JSON API."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.test import APIClient

from characters.framing import crops
from characters.models import Crop, ReferenceImage
from isengard import storage
from isengard.engine import fitting
from tests.framing.conftest import mask_file

BOX = {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}


@pytest.fixture
def address(photo: ReferenceImage) -> str:
    return f"/api/images/{photo.public_id}"


def put_mask(api: APIClient, address: str, content: bytes) -> tuple[int, dict[str, str]]:
    file = SimpleUploadedFile("mask.png", content)
    answer = api.put(f"{address}/mask", {"file": file}, format="multipart")
    return answer.status_code, answer.json()


def test_a_crop_is_set_shown_and_taken_away(api: APIClient, address: str) -> None:
    told = api.put(f"{address}/crops/main", BOX).json()
    assert told == {"kind": "main", **BOX, "by": "user", "enabled": True}
    assert api.get(f"{address}/crops").json()["crops"] == [told]
    api.delete(f"{address}/crops/main")
    assert not Crop.objects.exists()


def test_suggestions_are_told_before_anything_is_cropped(api: APIClient, address: str) -> None:
    told = api.get(f"{address}/crops").json()
    assert ([one["kind"] for one in told["suggestions"]], told["faces"]) == (["main", "face", "half"], 1)


@pytest.mark.parametrize(("kind", "box", "status"), [("legs", BOX, 400), ("main", {**BOX, "x": 2}, 422)])
def test_a_wrong_crop_is_refused(api: APIClient, address: str, kind: str, box: dict[str, float], status: int) -> None:
    assert api.put(f"{address}/crops/{kind}", box).status_code == status


def test_a_selection_gets_suggested_crops(api: APIClient, photo: ReferenceImage) -> None:
    answer = api.post("/api/images/crops", {"image_ids": [photo.public_id], "kinds": ["face"]})
    assert answer.json() == {"made": 1, "without_face": 0, "kept": 0}


def test_the_look_is_what_the_trainer_reads(api: APIClient, photo: ReferenceImage, address: str) -> None:
    crops.save(image=photo, kind="main", box=tuple(BOX.values()))  # type: ignore[arg-type]
    answer = api.get(f"{address}/look?base=pocket&resolution=64")
    trained = fitting.picture(storage.absolute(photo.file), fitting.Bucket(64, 8), tuple(BOX.values()))  # type: ignore[arg-type]
    assert Image.open(io.BytesIO(answer.content)).tobytes() == trained.tobytes()


@pytest.mark.parametrize("asked", ["resolution=65", "base=none&resolution=64", "resolution=64&kind=legs", ""])
def test_a_look_that_no_training_has_is_refused(api: APIClient, address: str, asked: str) -> None:
    assert api.get(f"{address}/look?{asked}").status_code == 400


def test_a_mask_goes_in_and_comes_out(api: APIClient, address: str) -> None:
    assert put_mask(api, address, mask_file()) == (200, {"mask": f"{address}/mask", "by": "user"})
    answer = api.get(f"{address}/mask")
    assert Image.open(io.BytesIO(answer.content)).getpixel((48, 48)) == 255


def test_a_mask_of_another_size_has_a_code_of_its_own(api: APIClient, address: str) -> None:
    status, told = put_mask(api, address, mask_file(width=50))
    assert (status, told["code"]) == (400, "mask_size")


def test_a_photo_without_a_mask_says_so(api: APIClient, address: str) -> None:
    answer = api.get(f"{address}/mask")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_mask")


def test_the_mask_before_comes_back(api: APIClient, address: str) -> None:
    for box in ((24, 24, 72, 72), (0, 0, 24, 24)):
        put_mask(api, address, mask_file(box=box))
    assert api.post(f"{address}/mask/back").json() == {"mask": f"{address}/mask", "by": "user"}
    assert Image.open(io.BytesIO(api.get(f"{address}/mask").content)).getpixel((48, 48)) == 255


def test_masks_of_a_selection_are_jobs(api: APIClient, photo: ReferenceImage) -> None:
    answer = api.post("/api/images/masks", {"image_ids": [photo.public_id], "shape": "face"})
    assert answer.status_code == 202
    assert api.get(f"/api/jobs/{answer.json()['jobs'][0]}").status_code == 200


def test_masks_of_a_selection_are_taken_away(api: APIClient, photo: ReferenceImage, address: str) -> None:
    put_mask(api, address, mask_file())
    assert api.post("/api/images/masks/remove", {"all": True}).json() == {"count": 1}
