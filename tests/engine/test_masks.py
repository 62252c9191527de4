"""Masks of the person: where they lie, what is refused, what is said."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage
from PIL import Image

from isengard.engine import masks
from isengard.engine.backends.base import Working
from isengard.engine.backends.native import NativeBackend
from isengard.engine.specs import MaskImage, MaskSpec, spec_from_dict
from tests.engine.conftest import Events

PORTRAIT = Path(skimage.__file__).parent / "data" / "astronaut.png"
FACE = (0.346, 0.129, 0.186, 0.186)  # of the portrait, by the frontal Haar cascade


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The portrait at a quarter of its size."""
    path = tmp_path / "photo.png"
    Image.open(PORTRAIT).convert("RGB").resize((128, 128)).save(path)
    return path


def spec(photo: Path, faces: tuple[Any, ...] = (FACE,), shape: Any = "person") -> MaskSpec:
    image = MaskImage(7, str(photo), str(photo.with_name("masks") / "mask.png"), faces)
    return MaskSpec("mask-1", shape, (image,))


def test_a_person_mask_holds_face_and_chest_and_leaves_the_corners(photo: Path) -> None:
    mask = masks.draw(np.asarray(cv2.imread(str(photo)), np.uint8), (FACE,), "person").mask
    face, chest, corners = mask[28, 56], mask[90, 45], (mask[5, 5], mask[5, 120], mask[40, 100])
    assert (face, chest, *corners) == (255, 255, 0, 0, 0)


def test_a_mask_is_a_grey_png_as_large_as_its_photo(photo: Path, events: Events) -> None:
    masks.make(spec(photo), events, lambda: False)
    with Image.open(events.of("output")[0]["path"]) as mask:
        assert (mask.format, mask.mode, mask.size) == ("PNG", "L", (128, 128))


def test_the_same_photo_gives_the_same_mask(photo: Path) -> None:
    picture = np.asarray(cv2.imread(str(photo)), np.uint8)
    one, two = (masks.draw(picture, (FACE,), "person").mask for _ in range(2))
    assert (one == two).all()


def test_a_face_mask_is_an_ellipse_around_the_head(photo: Path, events: Events) -> None:
    masks.make(spec(photo, shape="face"), events, lambda: False)
    told = events.of("output")[0]
    assert 0.03 < told["covered"] < 0.12
    assert not told["guessed"]


def test_without_a_face_the_mask_is_called_a_guess(photo: Path, events: Events) -> None:
    masks.make(spec(photo, faces=()), events, lambda: False)
    assert events.of("output")[0]["guessed"]


def test_a_face_mask_without_a_face_is_refused_with_the_way_out(photo: Path, events: Events) -> None:
    masks.make(spec(photo, faces=(), shape="face"), events, lambda: False)
    assert events.of("output") == [
        {
            "type": "output",
            "index": 7,
            "code": "no_face",
            "reason": "No face is known here, so there is no place for an ellipse. Paint the mask.",
        }
    ]


def test_a_photo_that_cannot_be_read_does_not_end_the_job(photo: Path, events: Events) -> None:
    photo.write_bytes(b"no picture")
    result = masks.make(spec(photo), events, lambda: False)
    assert (events.of("output")[0]["code"], result["masks"]) == ("image_unreadable", 1)


def test_it_stops_between_two_photos_when_told_to(photo: Path, events: Events) -> None:
    assert masks.make(spec(photo), events, lambda: True)["stopped"]


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (3, 3)])
def test_the_smallest_pictures_get_a_mask_of_their_size(size: tuple[int, int]) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    assert masks.draw(picture, (), "person").mask.shape == (size[1], size[0])


def test_the_engine_takes_masks_as_json(photo: Path, events: Events) -> None:
    wanted = spec(photo)
    assert spec_from_dict(wanted.to_dict()) == wanted
    assert Working(NativeBackend())(wanted.to_dict(), events, lambda: False)["masks"] == 1
