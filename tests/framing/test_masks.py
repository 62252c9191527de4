"""Masks: what may be one, and the jobs that make them."""

import io
from typing import Any

import pytest
from PIL import Image

from characters.framing import masks
from characters.framing.handlers import MaskHandler
from characters.models import Character, DatasetTask, ReferenceImage
from isengard import storage
from isengard.engine.specs import MaskSpec
from isengard.errors import Conflict, Invalid, NotFound
from tests.framing.conftest import FACE, mask_file
from tests.people import make_character
from tests.pictures import encoded, picture

EVERY = ReferenceImage.objects.all


def save(photo: ReferenceImage, **changes: Any) -> ReferenceImage:
    return masks.save(image=photo, file=io.BytesIO(mask_file(**changes)))


def reread(photo: ReferenceImage) -> ReferenceImage:
    return ReferenceImage.objects.get(pk=photo.pk)


def made(photo: ReferenceImage) -> None:
    """Puts a mask where the engine leaves it."""
    path = storage.absolute(masks.made_key(photo))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mask_file())


def test_a_mask_is_stored_as_a_grey_png_of_the_photos_size(photo: ReferenceImage) -> None:
    save(photo)
    with Image.open(storage.absolute(reread(photo).mask)) as mask:
        assert (mask.format, mask.mode, mask.size, mask.getpixel((48, 48))) == ("PNG", "L", (96, 96), 255)


def test_a_coloured_mask_is_taken_by_its_brightness(photo: ReferenceImage) -> None:
    masks.save(image=photo, file=io.BytesIO(encoded(picture(96, 96), "JPEG")))
    assert reread(photo).mask_by == "user"


def test_a_mask_of_another_size_is_refused_with_both_sizes(photo: ReferenceImage) -> None:
    with pytest.raises(Invalid, match="100×96 pixels, but the photo is 96×96") as caught:
        save(photo, width=100)
    assert (caught.value.code, reread(photo).mask) == ("mask_size", "")


def test_a_mask_drawn_on_the_canvas_of_a_large_photo_is_enlarged(photo: ReferenceImage) -> None:
    photo.width, photo.height = 3072, 1536
    save(photo, width=1536, height=768)
    with Image.open(storage.absolute(reread(photo).mask)) as mask:
        assert mask.size == (3072, 1536)


@pytest.mark.parametrize("changes", [{"box": None}, {"box": (0, 0, 96, 96)}, {"white": 100}])
def test_a_mask_that_says_nothing_is_refused(photo: ReferenceImage, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        save(photo, **changes)
    assert caught.value.code == "mask_says_nothing"


@pytest.mark.parametrize(("content", "code"), [(b"", "empty_file"), (b"no picture", "not_an_image")])
def test_what_is_no_picture_is_refused(photo: ReferenceImage, content: bytes, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        masks.save(image=photo, file=io.BytesIO(content))
    assert caught.value.code == code


@pytest.mark.django_db(transaction=True)
def test_a_removed_mask_takes_its_file_along(photo: ReferenceImage) -> None:
    key = save(photo).mask
    assert masks.remove(images=EVERY()).count == 1
    assert not storage.absolute(key).exists()
    with pytest.raises(NotFound):
        masks.file_of(reread(photo))


def brightness(photo: ReferenceImage, at: tuple[int, int]) -> object:
    with Image.open(storage.absolute(reread(photo).mask)) as mask:
        return mask.getpixel(at)


@pytest.mark.django_db(transaction=True)
def test_drawn_masks_that_were_removed_come_back(photo: ReferenceImage) -> None:
    save(photo)
    gone = masks.remove(images=EVERY())
    assert (masks.undo(token=gone.undo), reread(photo).mask_by, brightness(photo, (48, 48))) == (1, "user", 255)


@pytest.mark.django_db(transaction=True)
def test_bringing_masks_back_spares_what_was_drawn_since(photo: ReferenceImage) -> None:
    save(photo)
    gone = masks.remove(images=EVERY())
    save(reread(photo), box=(0, 0, 24, 24))
    assert (masks.undo(token=gone.undo), brightness(photo, (4, 4))) == (0, 255)


def test_a_token_of_nobody_brings_no_mask_back(photo: ReferenceImage) -> None:
    with pytest.raises(Invalid):
        masks.undo(token="made up")


def test_the_mask_before_and_the_present_one_change_places(photo: ReferenceImage) -> None:
    save(photo)
    save(reread(photo), box=(0, 0, 24, 24))
    assert brightness(masks.back(image=reread(photo)), (48, 48)) == 255
    assert brightness(masks.back(image=reread(photo)), (48, 48)) == 0


def test_a_mask_that_a_job_replaced_comes_back(photo: ReferenceImage) -> None:
    save(photo, box=(0, 0, 24, 24))
    made(photo)
    masks.take(public_id=photo.public_id, replace=True)
    assert (masks.back(image=reread(photo)).mask_by, brightness(photo, (4, 4))) == ("user", 255)
    assert not masks.has_former(photo)


def test_where_no_earlier_mask_is_kept_nothing_comes_back(photo: ReferenceImage) -> None:
    with pytest.raises(NotFound, match="No earlier mask"):
        masks.back(image=photo)


def test_a_photo_whose_file_is_gone_takes_no_mask(photo: ReferenceImage) -> None:
    storage.remove(photo.file)
    with pytest.raises(Conflict, match="Upload the photo again"):
        save(photo)


def test_a_selection_over_two_characters_becomes_two_jobs(mira: Character) -> None:
    make_character(name="Joon", photos=1)
    jobs = masks.request(images=EVERY())
    assert sorted(job.label for job in jobs) == ["1 mask", "3 masks"]


def test_a_long_selection_becomes_several_jobs(mira: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "MOST_PER_JOB", 2)
    assert [job.label for job in masks.request(images=EVERY())] == ["2 masks", "1 mask"]


def test_masks_that_people_drew_are_not_asked_for_again(photo: ReferenceImage) -> None:
    save(photo)
    masks.request(images=EVERY())
    assert photo.public_id not in DatasetTask.objects.get().options["images"]


def test_nothing_left_to_mask_is_a_sentence(photo: ReferenceImage) -> None:
    save(photo)
    with pytest.raises(Conflict, match="that you drew"):
        masks.request(images=EVERY().filter(pk=photo.pk))


def test_the_engine_is_told_the_faces_the_doctor_found(photo: ReferenceImage) -> None:
    job = masks.request(images=EVERY())[0]
    spec = MaskSpec.from_dict(MaskHandler().spec(job))
    assert spec.images[0].faces == ((FACE["x"], FACE["y"], FACE["width"], FACE["height"]),)
    assert len(spec.images) == 3


def test_a_mask_that_was_made_becomes_the_photos(photo: ReferenceImage) -> None:
    made(photo)
    assert masks.take(public_id=photo.public_id, replace=False)
    assert (reread(photo).mask_by, storage.absolute(reread(photo).mask).is_file()) == ("auto", True)


def test_a_mask_drawn_while_the_job_ran_wins(photo: ReferenceImage) -> None:
    made(photo)
    save(photo)
    assert not masks.take(public_id=photo.public_id, replace=False)
    assert reread(photo).mask_by == "user"


def test_a_photo_deleted_meanwhile_is_passed_over(photo: ReferenceImage) -> None:
    made(photo)
    ReferenceImage.objects.filter(pk=photo.pk).delete()
    assert not masks.take(public_id=photo.public_id, replace=False)
