"""What the coach says of a set: how many, which framings, how varied, and whether it is ready."""

import random
from dataclasses import replace

from characters.doctor import coach
from characters.doctor.coach import Shown


def photos(count: int, framing: str = "") -> list[Shown]:
    """Varied photos; framings in turn unless one is given."""
    dice = random.Random(7)
    kinds = ("close", "close", "half", "full", "close")
    return [
        Shown(
            key,
            "ready",
            framing or kinds[key % 5],
            f"#{dice.getrandbits(24):06x}",
            dice.getrandbits(63),
            key % 9 / 10,
            0.5,
        )
        for key in range(count)
    ]


def points(shown: list[Shown]) -> str:
    return " ".join(coach.advise(shown).points)


def test_a_varied_set_of_fifteen_needs_nothing() -> None:
    advice = coach.advise(photos(15))
    assert (advice.state, advice.points, advice.summary) == ("ready", (), "15 ready: a good set.")


def test_no_photo_is_not_ready_and_says_how_many_to_add() -> None:
    assert coach.advise([]).state == "blocked" and "ten to twenty" in points([])


def test_few_photos_are_counted_up_to_ten() -> None:
    assert "Add 6 more" in points(photos(4))


def test_only_close_ups_ask_for_waist_shots_and_only_far_ones_for_close_ups() -> None:
    assert "down to the waist" in points(photos(12, "close")) and "close-ups:" in points(photos(12, "half"))


def test_adding_what_is_asked_for_satisfies_the_coach() -> None:
    many = [*photos(12, "close"), *(replace(photo, key=photo.key + 50) for photo in photos(4, "half"))]
    assert "down to the waist" not in points(many)


def test_one_pose_in_one_place_is_noticed() -> None:
    assert "same pose" in points([replace(photo, phash=5) for photo in photos(12)])


def test_one_colour_and_one_light_are_noticed() -> None:
    said = points([replace(photo, color="#204060", brightness=0.5) for photo in photos(12)])
    assert "share one colour" in said and "same light" in said


def test_a_blocked_photo_is_not_counted() -> None:
    shown = [replace(photo, verdict="blocked") for photo in photos(5)]
    assert coach.advise(shown).state == "blocked"


def test_an_unsolved_photo_keeps_the_set_from_being_ready() -> None:
    first, *rest = photos(15)
    assert coach.advise([replace(first, verdict="attention"), *rest]).state == "attention"


def test_photos_that_nobody_looked_at_are_not_called_good() -> None:
    unseen = [replace(photo, verdict="unchecked") for photo in photos(15)]
    assert coach.advise(unseen).summary == "15 not checked yet."


def test_of_many_the_summary_counts_all() -> None:
    advice = coach.advise(photos(15), {"ready": 1900, "blocked": 100})
    assert advice.summary == "1,900 ready, 100 left out." and "More than 40" in advice.points[0]


def test_hundreds_of_close_ups_do_not_call_for_a_hundred_others() -> None:
    assert "Add 10 photos down to the waist" in points(photos(400, "close"))
