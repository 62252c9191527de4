"""Faces in drawings: seen where detectors of photos see none, and not where there is none."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from isengard.engine.drawing import drawn_faces, faces
from isengard.engine.drawing.region import Box
from isengard.engine.pocket import face_detector
from isengard.engine.pocket.faces import person, render, shot

# People whom the detector has not learned from.
STRANGERS = range(31_000, 31_016)


def soft(seed: int) -> tuple[Image.Image, Box]:
    """A stranger's portrait as soft as Pocket draws it, and where the face is."""
    who, how = person(seed), shot(seed)
    return render(who, how, face_detector.PIXELS).filter(ImageFilter.GaussianBlur(0.6)), face_detector.face_of(who, how)


@pytest.mark.parametrize("side", [64, 96, 300])
def test_a_drawn_stranger_is_seen_where_he_is_at_any_size(side: int) -> None:
    for seed in STRANGERS:
        image, face = soft(seed)
        scale = side / image.width
        (found,) = drawn_faces.find(image.resize((side, side), Image.Resampling.LANCZOS))[:1]
        seen = Box(found.left / scale, found.top / scale, found.right / scale, found.bottom / scale)
        assert face_detector.shows(seen.grown((drawn_faces.REACH - 1) / 2), face), seed


def test_what_is_no_face_is_none() -> None:
    rng = np.random.default_rng(5)
    heaps = [face_detector.shapes(rng) for _ in range(10)]
    shoulders = [soft(seed)[0].crop((0, 72, 96, 96)) for seed in STRANGERS]
    hidden = [soft(seed)[0] for seed in STRANGERS]
    for image in hidden:
        image.paste((90, 140, 60), (20, 10, 76, 80))
    assert [drawn_faces.find(image) for image in (*heaps, *shoulders, *hidden)] == [[]] * 42


def test_it_is_asked_only_where_the_detectors_of_photos_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image, here = soft(31_001)[0], Box(1, 2, 30, 40)
    monkeypatch.setattr(faces, "_seen", lambda *given: [here])
    assert faces.find(image) == [here]
    monkeypatch.setattr(faces, "_seen", lambda *given: [])
    assert faces.find(image) == drawn_faces.find(image) != []


def test_two_drawn_people_are_two() -> None:
    both = Image.new("RGB", (192, 96))
    for place, seed in enumerate((31_001, 31_002)):
        both.paste(soft(seed)[0], (96 * place, 0))
    left, right = sorted(drawn_faces.find(both), key=lambda box: box.left)
    assert left.right < 110 and right.left > 82


def test_the_detector_is_learned_from_portraits_alone() -> None:
    weights = face_detector.learn(count=24, rounds=0)
    image, face = soft(31_003)
    best, _ = max(drawn_faces.windows(image, weights, -9.0), key=lambda seen: seen[1])
    assert weights.shape == drawn_faces.learnt().shape and face_detector.shows(best, face)
