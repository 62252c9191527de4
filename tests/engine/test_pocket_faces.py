"""The procedural portraits: the same numbers give the same picture, and people are told apart."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from isengard.engine.pocket.captions import ATTRIBUTES, facts
from isengard.engine.pocket.dataset import TRIGGERS, names
from isengard.engine.pocket.faces import caption, person, render, sample_person, sample_photos, shot


def pixels(who: int, how: int, size: int = 64) -> np.ndarray:
    return np.asarray(render(person(who), shot(how), size)).astype(int)


def test_rendering_the_same_person_and_shot_twice_gives_the_same_bytes() -> None:
    assert (pixels(3, 5) == pixels(3, 5)).all()


def test_two_people_in_the_same_shot_look_different() -> None:
    assert np.abs(pixels(3, 5) - pixels(4, 5)).mean() > 5


def test_one_person_in_two_shots_looks_different() -> None:
    assert np.abs(pixels(3, 5) - pixels(3, 6)).mean() > 5


def test_a_large_picture_shows_the_same_scene_as_a_small_one() -> None:
    small = pixels(7, 7, 64)
    large = pixels(7, 7, 512).reshape(64, 8, 64, 8, 3).mean((1, 3))
    assert np.abs(small - large).mean() < 4


def test_there_are_as_many_sample_photos_as_asked_for_and_no_two_are_equal() -> None:
    photos = sample_photos(size=64, count=12)
    assert len(photos) == 12
    assert len({picture.tobytes() for _, picture, _ in photos}) == 12


def test_sample_photos_call_her_by_the_name_that_is_given() -> None:
    assert all("ohwx" in text for _, _, text in sample_photos(size=64, count=4, name="ohwx"))


def test_sample_captions_leave_her_looks_to_be_learned() -> None:
    assert not any(word in text for _, _, text in sample_photos(size=64) for word in ("auburn", "curly", "freckles"))


def test_the_sample_person_is_nobody_from_pretraining() -> None:
    assert sample_person() not in {person(500 + index) for index in range(80)}


def test_names_in_pretraining_are_four_letters_and_never_a_usual_trigger() -> None:
    assert {len(name) for name in names()} == {4}
    assert not set(names()) & set(TRIGGERS)


@pytest.mark.parametrize("seed", range(20))
def test_a_full_caption_tells_every_colour_that_the_picture_has(seed: int) -> None:
    who, how = person(seed), shot(seed)
    text = caption(who, how, np.random.default_rng(seed))
    assert all(fact in text for key, fact in facts(who, how).items() if key in ("shirt", "background", "skin"))


@pytest.mark.parametrize("seed", range(60))
def test_every_fact_of_a_picture_is_none_or_a_value_that_captions_know(seed: int) -> None:
    for key, value in facts(person(seed), shot(seed)).items():
        assert value == "none" or value in ATTRIBUTES[key]


def test_portraits_are_drawn_without_loading_torch() -> None:
    code = (
        "import sys; import isengard.engine.pocket.faces as f; f.sample_photos(64, 1); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
