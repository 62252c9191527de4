"""Counts beside the grid."""

from pathlib import Path

import pytest

from characters.browse import totals
from characters.browse.query import Filter
from characters.models import Character
from tests.people import make_character


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character("Mira", photos=3)


def test_totals_count_every_split_and_verdict(mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(split="reference", verdict="ready")
    found = totals.totals()
    assert (found.all, found.splits) == (3, {"train": 2, "reference": 1, "synthetic": 0})
    assert found.verdicts == {"unchecked": 2, "ready": 1, "attention": 0, "blocked": 0}


def test_totals_of_one_character_leave_others_out(mira: Character) -> None:
    joon = make_character("Joon", "ohwxjoon", photos=1)
    assert totals.totals(joon).all == 1
    assert totals.totals().characters == {mira.pk: 3, joon.pk: 1}


def test_counting_stops_where_nobody_reads_on(mira: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    assert totals.count(Filter()) == (3, False)
    monkeypatch.setattr(totals, "ENOUGH", 2)
    assert totals.count(Filter()) == (2, True)
