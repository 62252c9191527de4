"""Crops: what is suggested, what is kept, what is refused."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from characters.framing import crops
from characters.models import Character, Crop, Examination, ReferenceImage
from isengard.errors import Invalid
from tests.framing.conftest import FACE


@pytest.mark.parametrize("kind", list(crops.KINDS))
def test_a_suggestion_holds_the_face_and_stays_in_the_photo(photo: ReferenceImage, kind: str) -> None:
    x, y, width, height = crops.suggestion(photo, kind)
    assert 0 <= x <= FACE["x"] and x + width >= FACE["x"] + FACE["width"] and x + width <= 1
    assert 0 <= y <= FACE["y"] and y + height >= FACE["y"] + FACE["height"] and y + height <= 1


def test_the_face_is_closer_than_the_upper_body_and_that_than_the_photo(photo: ReferenceImage) -> None:
    face, half, main = (crops.suggestion(photo, kind) for kind in ("face", "half", "main"))
    assert face[3] < half[3] < main[3]


def test_a_face_crop_is_square_in_pixels_of_a_wide_photo(photo: ReferenceImage) -> None:
    photo.width, photo.height = 200, 100
    _, _, width, height = crops.suggestion(photo, "face")
    assert width * 200 == pytest.approx(height * 100)


def test_the_largest_of_two_faces_is_the_one(photo: ReferenceImage) -> None:
    larger = {**FACE, "x": 0.05, "width": 0.3, "height": 0.3}
    photo.examination.faces = [FACE, larger]
    x, _, width, _ = crops.suggestion(photo, "face")
    assert x + width / 2 < 0.4


def test_without_a_face_nothing_of_the_photo_is_cut(mira: Character) -> None:
    assert crops.suggestion(mira.images.order_by("pk")[1], "main") == crops.WHOLE


def test_without_a_face_a_further_sample_begins_as_the_middle_upper_part(mira: Character) -> None:
    image = mira.images.order_by("pk")[1]
    image.width, image.height = 100, 400
    x, y, width, height = crops.suggestion(image, "half")
    assert (x, width) == (0, 1)
    assert height == pytest.approx(0.3125) and y < 0.2


def test_little_to_cut_means_the_whole_photo(photo: ReferenceImage) -> None:
    photo.examination.faces = [{**FACE, "x": 0.2, "y": 0.2, "width": 0.6, "height": 0.6}]
    assert crops.suggestion(photo, "main") == crops.WHOLE


def test_a_crop_that_reaches_out_of_the_photo_is_cut_to_it(photo: ReferenceImage) -> None:
    crop = crops.save(image=photo, kind="main", box=(0.5, 0.6, 0.9, 0.9))
    assert crops.box_of(crop) == (0.5, 0.6, 0.5, 0.4)


@pytest.mark.parametrize(
    ("kind", "box", "code"),
    [
        ("main", (0.5, 0.5, 0.01, 0.5), "crop_too_small"),
        ("main", (0.99, 0, 0.5, 0.5), "crop_too_small"),
        ("main", (float("nan"), 0, 1, 1), "bad_crop"),
        ("legs", (0, 0, 1, 1), "unknown_crop"),
    ],
)
def test_nonsense_is_refused(photo: ReferenceImage, kind: str, box: crops.Box, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        crops.save(image=photo, kind=kind, box=box)
    assert (caught.value.code, Crop.objects.count()) == (code, 0)


def test_one_crop_of_a_kind_is_kept_per_photo(photo: ReferenceImage) -> None:
    crops.save(image=photo, kind="main", box=(0, 0, 0.5, 0.5), by="auto")
    crops.save(image=photo, kind="main", box=(0, 0, 0.8, 0.8))
    crop = Crop.objects.get()
    assert (crop.width, crop.by) == (0.8, "user")


def test_turning_a_crop_on_for_the_first_time_takes_the_suggestion(photo: ReferenceImage) -> None:
    crop = crops.enable(image=photo, kind="face", enabled=True)
    assert crop is not None
    assert (crops.box_of(crop), crop.by) == (crops.suggestion(photo, "face"), "auto")


def test_a_selection_is_cropped_where_faces_are_known(photo: ReferenceImage, mira: Character) -> None:
    made = crops.suggest(images=ReferenceImage.objects.all(), kinds=["main", "face"])
    assert (made.made, made.without_face, Crop.objects.filter(image=photo).count()) == (1, 2, 2)


def test_a_large_selection_costs_no_query_per_photo(photo: ReferenceImage, mira: Character) -> None:
    for image in mira.images.exclude(pk=photo.pk):
        Examination.objects.create(image=image, version=1, faces=[FACE])
    with CaptureQueriesContext(connection) as queries:
        made = crops.suggest(images=ReferenceImage.objects.all(), kinds=list(crops.KINDS))
    assert made.made == 3 and Crop.objects.count() == 9
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) <= 3


@pytest.mark.parametrize(("replace", "by"), [(False, "user"), (True, "auto")])
def test_what_a_person_drew_is_replaced_only_when_asked_to(photo: ReferenceImage, replace: bool, by: str) -> None:
    crops.save(image=photo, kind="main", box=(0, 0, 0.8, 0.8))
    made = crops.suggest(images=ReferenceImage.objects.all(), kinds=["main"], replace=replace)
    assert (Crop.objects.get().by, made.kept) == (by, 0 if replace else 1)


def test_a_photo_nobody_examined_has_no_faces(mira: Character) -> None:
    assert crops.faces(mira.images.order_by("pk")[1]) == () and not Examination.objects.exists()
