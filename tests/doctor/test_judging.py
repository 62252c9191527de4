"""From measures to findings and verdicts: one fault at a time, and what a photo without faults gets."""

from typing import Any

import pytest

from characters.doctor import judging
from tests.doctor.conftest import FACE, GOOD


def codes(size: int = 1024, **facts: Any) -> list[str]:
    return [one.code for one in judging.findings({**GOOD, **facts}, size)]


def test_a_good_photo_has_no_finding() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"sharpness": 40.0, "faces": [{**FACE, "sharpness": 90.0}]}, "blurred"),
        ({"faces": [{**FACE, "sharpness": 20.0}]}, "soft_face"),
        ({"faces": []}, "no_face"),
        ({"faces": [], "drawn": True}, "no_drawn_face"),
        ({"faces": [FACE, {**FACE, "x": 0.1}]}, "second_face"),
        ({"faces": [{**FACE, "height": 0.05, "width": 0.04}]}, "tiny_face"),
        ({"faces": [{**FACE, "x": 0.0}]}, "cut_face"),
        ({"brightness": 0.1}, "dark"),
        ({"brightness": 0.18, "contrast": 0.33}, "dark"),
        ({"faces": [{**FACE, "brightness": 0.95}]}, "bright"),
        ({"contrast": 0.05}, "pale"),
        ({"turn": 3}, "sideways"),
        ({"width": 700, "height": 700}, "small"),
        ({"width": 400, "height": 400}, "too_small"),
        ({"width": 40, "height": 40, "faces": []}, "too_small"),
    ],
)
def test_one_fault_is_one_finding(facts: dict[str, Any], code: str) -> None:
    assert codes(**facts) == [code]


def test_what_is_small_depends_on_the_base() -> None:
    assert (codes(96, width=128, height=128), codes(1024, width=128, height=128)) == ([], ["too_small"])


def test_a_passer_by_is_no_second_person() -> None:
    assert codes(faces=[FACE, {**FACE, "x": 0.1, "height": 0.1}]) == []


def test_a_drawing_without_a_found_face_is_never_blocked() -> None:
    found = [one.to_dict() for one in judging.findings({**GOOD, "faces": [], "drawn": True}, 96)]
    assert judging.verdict(found, []) == "attention"


def test_a_face_that_is_sharp_where_it_counts_makes_up_for_a_soft_picture() -> None:
    assert codes(sharpness=40.0, faces=[{**FACE, "sharpness": 250.0}]) == []


def test_a_lying_photo_offers_the_turn_that_stands_it_up() -> None:
    (finding,) = judging.findings({**GOOD, "turn": 3}, 1024)
    assert judging.FIXES[finding.fix] == "Turn left"


def test_a_file_that_is_gone_is_blocked_whatever_is_waved_through() -> None:
    found = [one.to_dict() for one in judging.findings({"code": "missing", "reason": "gone"}, 96)]
    assert judging.verdict(found, ["missing"]) == "blocked"


def test_the_worst_finding_that_nobody_waved_through_decides() -> None:
    found = [{"code": "blurred", "level": "attention"}, {"code": "too_small", "level": "blocked"}]
    told = [judging.verdict(found, ignored) for ignored in ([], ["too_small"], ["too_small", "blurred"])]
    assert told == ["blocked", "attention", "ready"]


@pytest.mark.parametrize(("height", "expected"), [(0.4, "close"), (0.2, "half"), (0.09, "full")])
def test_framing_goes_by_the_height_of_the_face(height: float, expected: str) -> None:
    assert judging.framing({**GOOD, "faces": [{**FACE, "height": height}]}) == expected
