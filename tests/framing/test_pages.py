"""The crop and mask panels, and the bulk actions, as pages."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from characters.framing import crops, masks
from characters.models import Character, Crop, ReferenceImage
from isengard.jobs.models import Job
from tests.framing.conftest import mask_file
from tests.pages.rows import HTMX

BOX = {"x": "0.1", "y": "0.2", "width": "0.5", "height": "0.6"}


def told(client: Client, address: str, **given: object) -> str:
    return client.post(address, given, headers=HTMX).content.decode()


@pytest.fixture
def crop(photo: ReferenceImage) -> str:
    return f"/photos/{photo.public_id}/crop"


@pytest.fixture
def mask(photo: ReferenceImage) -> str:
    return f"/photos/{photo.public_id}/mask"


def test_the_crop_editor_begins_with_the_suggestion(client: Client, crop: str, photo: ReferenceImage) -> None:
    page = client.get(crop, headers=HTMX).content.decode()
    assert f'value="{crops.suggestion(photo, "main")[1]:.5f}"' in page
    assert "Training uses the whole photo" in page


def test_moving_the_frame_saves_it_and_shows_what_is_trained_on(client: Client, crop: str) -> None:
    page = told(client, crop, kind="main", action="save", **BOX)
    assert "instead of the whole photo" in page and "resolution=64" in page
    assert (Crop.objects.get().x, Crop.objects.get().by) == (0.1, "user")


@pytest.mark.parametrize(("action", "count"), [("suggest", 1), ("whole", 0), ("on", 1)])
def test_the_buttons_of_the_crop_editor(client: Client, crop: str, action: str, count: int) -> None:
    told(client, crop, kind="face", action=action)
    assert Crop.objects.filter(kind="face").count() == count


def test_a_suggestion_of_the_whole_photo_is_no_crop(client: Client, mira: Character) -> None:
    photo = mira.images.order_by("pk")[1]
    page = told(client, f"/photos/{photo.public_id}/crop", kind="main", action="suggest")
    assert "No face is known here" in page and not Crop.objects.exists()


def test_a_further_sample_shows_the_text_that_is_trained_with_it(client: Client, crop: str) -> None:
    page = client.get(f"{crop}?kind=face", headers=HTMX).content.decode()
    assert "close-up of the face</q>" in page


def test_words_for_numbers_are_refused(client: Client, crop: str) -> None:
    answer = client.post(crop, {"kind": "main", **BOX, "x": "left"}, headers=HTMX)
    assert (answer.status_code, Crop.objects.count()) == (400, 0)


def test_without_htmx_a_crop_leads_back_to_the_photo(client: Client, crop: str, photo: ReferenceImage) -> None:
    answer = client.post(crop, {"kind": "main", **BOX})
    assert answer.headers["Location"] == f"/photos/{photo.public_id}"


def test_a_preview_is_a_picture_in_the_size_of_its_bucket(client: Client, photo: ReferenceImage) -> None:
    answer = client.get(f"/photos/{photo.public_id}/look?base=pocket&resolution=64&v=1")
    assert answer.headers["Content-Type"] == "image/png" and "immutable" in answer.headers["Cache-Control"]


def test_a_small_photo_is_told_to_be_enlarged(client: Client, crop: str) -> None:
    assert "soft" in client.get(f"{crop}?base=flux-dev", headers=HTMX).content.decode()


def test_a_painted_mask_is_kept_and_shown(client: Client, mask: str) -> None:
    page = told(client, mask, action="save", mask=SimpleUploadedFile("mask.png", mask_file()))
    assert "Drawn by you" in page
    assert client.get(f"{mask}.png").status_code == 200


def test_finding_the_person_starts_a_job_that_the_panel_follows(client: Client, mask: str) -> None:
    page = told(client, mask, action="person")
    assert f'data-job-live="{Job.objects.get().public_id}"' in page


def test_a_mask_that_could_not_be_made_says_why(client: Client, mask: str, photo: ReferenceImage) -> None:
    job = masks.request(images=ReferenceImage.objects.all(), shape="face")[0]
    Job.objects.filter(pk=job.pk).update(state="failed", error_message="The disk is full.")
    assert "The disk is full." in client.get(mask, headers=HTMX).content.decode()


def test_an_empty_form_asks_for_a_file(client: Client, mask: str) -> None:
    assert "Choose a mask first" in told(client, mask, action="save")


def test_a_mask_painted_over_leads_back_to_the_one_before(client: Client, mask: str) -> None:
    for box in ((24, 24, 72, 72), (0, 0, 24, 24)):
        page = told(client, mask, action="save", mask=SimpleUploadedFile("mask.png", mask_file(box=box)))
    assert 'value="back"' in page
    assert "Drawn by you" in told(client, mask, action="back")


@pytest.mark.django_db(transaction=True)
def test_the_toast_of_removed_masks_brings_them_back(client: Client, photo: ReferenceImage) -> None:
    masks.save(image=photo, file=SimpleUploadedFile("mask.png", mask_file()))
    answer = client.post("/dataset/masks", {"all": "1", "shape": "remove"}, headers=HTMX)
    undo = answer.headers["HX-Trigger"].split('"undo": "')[1].split('"')[0]
    assert "1 mask is back" in client.post(undo, headers=HTMX).headers["HX-Trigger"]
    assert ReferenceImage.objects.get(pk=photo.pk).mask_by == "user"


def test_crops_of_a_selection_are_told_in_a_sentence(client: Client, photo: ReferenceImage) -> None:
    answer = client.post("/dataset/crops", {"all": "1", "kinds": ["main"]}, headers=HTMX)
    assert "1 photo cropped; 2 left whole because no face is known there." in answer.headers["HX-Trigger"]


@pytest.mark.parametrize("dialog", ["crops", "masks"])
def test_the_dialogs_of_the_selection_open(client: Client, dialog: str) -> None:
    assert "data-selection" in client.get(f"/dataset/{dialog}", headers=HTMX).content.decode()


def test_a_job_of_masks_has_a_page(client: Client, mira: Character) -> None:
    job = masks.request(images=ReferenceImage.objects.all())[0]
    assert "3 masks for Mira" in client.get(f"/dataset/masks/{job.public_id}").content.decode()
