"""Whom Pocket learns, whom the judges learn and whom the tests ask for are different people in different shots."""

from itertools import combinations
from pathlib import Path

import pytest

pytest.importorskip("torch")

from isengard.engine.pocket import dataset, identity, measure, trial
from isengard.engine.pocket.judge_training import CENTRE, Plan

PLAN = Plan(work=Path(), out=Path(), vae=Path())
LEARNT = [portrait for album in (dataset.SMALL, dataset.LARGE) for portrait in album.portraits()]
HELD = PLAN.first + 90_000
PEOPLE = {
    "Pocket's": {portrait.who for portrait in LEARNT},
    "held out": {portrait.who for portrait in dataset.held_out()},
    "the judges'": {PLAN.first + n for n in range(PLAN.people)},
    "judging the judges": {HELD + n for n in range(300)},
    "measured": {measure.SUBJECTS + n for n in range(200)},
    "identities": {trial.PEOPLE + n for n in range(identity.GALLERY)},
}
SHOTS = {
    "Pocket's": {portrait.how for portrait in LEARNT},
    "held out": {portrait.how for portrait in dataset.held_out()},
    "the judges'": {PLAN.first + n for n in range(PLAN.people * PLAN.shots)},
    "judging the judges": {HELD + n for n in range(300 * 2 * CENTRE)},
    "measured": {measure.SUBJECTS + n for n in range(200)},
    "identities": {trial.SHOTS + n for n in range(100 * identity.GALLERY)},
}


@pytest.mark.parametrize("seeds", [PEOPLE, SHOTS], ids=["people", "shots"])
def test_nobody_is_met_twice(seeds: dict[str, set[int]]) -> None:
    assert not [(a, b) for a, b in combinations(seeds, 2) if seeds[a] & seeds[b]]
