"""What the engine measures on photos: faces and how they lie, sharpness, hash, drawings, files that cannot be read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage
from PIL import Image, ImageFilter

from isengard.engine import examine
from isengard.engine.backends.base import Working
from isengard.engine.backends.native import NativeBackend
from isengard.engine.pocket.faces import sample_photos
from isengard.engine.specs import ExamineImage, ExamineSpec, spec_from_dict
from tests.engine.conftest import Events

PHOTOS = Path(skimage.__file__).parent / "data"


def portrait() -> Image.Image:
    return Image.open(PHOTOS / "astronaut.png").convert("RGB")


def facts(picture: Image.Image, folder: Path, name: str = "photo.png", **save: Any) -> examine.Facts:
    picture.save(folder / name, **save)
    return examine.examine(folder / name)


def distance(one: examine.Facts, other: examine.Facts) -> int:
    return ((one.phash ^ other.phash) & (2**64 - 1)).bit_count()


def test_the_one_face_of_a_portrait_is_found_where_it_is(tmp_path: Path) -> None:
    (face,) = facts(portrait(), tmp_path).faces
    assert face.x < 0.44 < face.x + face.width and face.y < 0.22 < face.y + face.height and face.width < 0.25


def test_two_people_are_two_faces(tmp_path: Path) -> None:
    pair = Image.new("RGB", (1024, 512))
    pair.paste(portrait(), (0, 0))
    pair.paste(portrait(), (512, 0))
    assert len(facts(pair, tmp_path).faces) == 2


@pytest.mark.parametrize("side", [300, 440, 480])
def test_what_only_looks_like_a_face_is_no_second_person(tmp_path: Path, side: int) -> None:
    (face,) = facts(portrait().resize((side, side)), tmp_path).faces
    assert face.y + face.height < 0.4


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "rocket.jpg", "page.png"])
def test_a_picture_without_a_person_has_no_face(name: str) -> None:
    assert examine.examine(PHOTOS / name).faces == ()


@pytest.mark.parametrize(("turned", "back"), [(Image.Transpose.ROTATE_90, 1), (Image.Transpose.ROTATE_270, 3)])
def test_a_lying_photo_says_how_to_turn_it_and_where_the_face_lies(tmp_path: Path, turned: Any, back: int) -> None:
    found = facts(portrait().transpose(turned), tmp_path)
    middle = (found.faces[0].x + found.faces[0].width / 2, found.faces[0].y + found.faces[0].height / 2)
    there = (0.22, 0.56) if back == 1 else (0.78, 0.44)
    assert found.turn == back and middle == pytest.approx(there, abs=0.06)


def test_blur_takes_the_sharpness_of_the_sharpest_tile(tmp_path: Path) -> None:
    sharp = facts(portrait(), tmp_path).sharpness
    soft = facts(portrait().filter(ImageFilter.GaussianBlur(2)), tmp_path).sharpness
    assert sharp > 500 and soft < 100


def test_a_soft_background_does_not_make_a_sharp_face_soft(tmp_path: Path) -> None:
    blurred = portrait().filter(ImageFilter.GaussianBlur(4))
    blurred.paste(portrait().crop((170, 40, 290, 180)), (170, 40))
    assert facts(blurred, tmp_path).sharpness > 100


def test_a_shaken_photo_is_not_sharp_although_half_its_edges_are(tmp_path: Path) -> None:
    shaken = Image.fromarray(cv2.blur(np.asarray(portrait()), (15, 1)))
    assert facts(shaken, tmp_path).sharpness < 60


def test_a_dark_photo_is_as_sharp_as_it_was_in_good_light(tmp_path: Path) -> None:
    dark = portrait().point(lambda level: level // 3)
    lit = facts(portrait(), tmp_path, "lit.png").sharpness
    assert facts(dark, tmp_path, "dark.png").sharpness == pytest.approx(lit, rel=0.2)


def test_a_head_held_askew_is_found_where_it_is(tmp_path: Path) -> None:
    found = facts(portrait().rotate(30, fillcolor="grey"), tmp_path)
    assert found.turn == 0 and found.faces[0].x + found.faces[0].width / 2 == pytest.approx(0.31, abs=0.05)


def test_a_smaller_recompressed_copy_has_nearly_the_same_hash(tmp_path: Path) -> None:
    copy = facts(portrait().resize((300, 300)), tmp_path, "copy.jpg", quality=60)
    assert distance(facts(portrait(), tmp_path), copy) <= 6


def test_another_picture_has_another_hash(tmp_path: Path) -> None:
    assert distance(facts(portrait(), tmp_path), examine.examine(PHOTOS / "coffee.png")) > 12


def test_every_sample_photo_is_known_to_be_drawn_and_has_a_face(tmp_path: Path) -> None:
    found = [facts(picture, tmp_path) for _, picture, _ in sample_photos()]
    assert [(one.drawn, len(one.faces)) for one in found] == [(True, 1)] * 12


def test_a_photo_is_not_taken_for_a_drawing(tmp_path: Path) -> None:
    assert not facts(portrait(), tmp_path, "photo.jpg", quality=70).drawn


def test_the_stored_size_is_told_whatever_size_was_decoded(tmp_path: Path) -> None:
    found = facts(portrait().resize((2400, 2400)), tmp_path, "large.jpg")
    assert (found.width, found.height, len(found.faces)) == (2400, 2400, 1)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut off", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_file_is_refused_with_a_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(examine.Unreadable) as refused:
        examine.examine(tmp_path / "photo.jpg")
    assert refused.value.code == "unreadable"


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3000, 2), (19, 19)])
def test_a_sliver_is_measured_without_harm(tmp_path: Path, size: tuple[int, int]) -> None:
    assert facts(Image.new("RGB", size, "grey"), tmp_path).faces == ()


def spec(*paths: Path) -> ExamineSpec:
    return ExamineSpec("data-1", tuple(ExamineImage(index, str(path)) for index, path in enumerate(paths)))


def test_a_job_answers_for_every_photo_and_goes_on_behind_a_broken_one(tmp_path: Path) -> None:
    events = Events()
    result = examine.run(spec(tmp_path / "gone.png", PHOTOS / "astronaut.png"), events, lambda: False)
    told = [photo for event in events.of("output") for photo in event["photos"]]
    assert (result["photos"], told[0]["code"], len(told[1]["faces"])) == (2, "missing", 1)


def test_a_stop_leaves_the_rest_for_another_time() -> None:
    result = examine.run(spec(PHOTOS / "coffee.png"), Events(), lambda: True)
    assert (result["photos"], result["stopped"]) == (0, True)


def test_the_engine_takes_the_spec_as_json(tmp_path: Path) -> None:
    given = spec(tmp_path / "gone.png").to_dict()
    assert spec_from_dict(given) == spec(tmp_path / "gone.png")
    assert Working(NativeBackend())(given, Events(), lambda: False)["photos"] == 1


def test_a_stronger_detector_that_cannot_be_read_is_named_and_done_without(tmp_path: Path) -> None:
    (tmp_path / "yunet.onnx").write_text("<!DOCTYPE html>")
    events = Events()
    examine.run(replace(spec(PHOTOS / "astronaut.png"), yunet=str(tmp_path / "yunet.onnx")), events, lambda: False)
    assert "yunet.onnx" in events.of("log")[0]["message"] and len(events.of("output")[0]["photos"][0]["faces"]) == 1


def test_a_face_the_network_is_unsure_of_is_looked_for_lying_down(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter((0.62, 0.4, 0.93, 0.5))
    monkeypatch.setattr(examine, "_asked", lambda grey, path: [examine.Found((10, 20, 30, 40), next(seen))])
    found, turn = examine.find_faces(np.zeros((100, 200), np.uint8), drawn=False, yunet="yunet.onnx")
    assert (turn, found[0].box, found[0].score) == (3, (140, 10, 40, 30), 0.93)
