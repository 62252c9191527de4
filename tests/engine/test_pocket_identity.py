"""The identity test: what it asks for, and that its gates say what the verdicts say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np

from characters.captions.text import training_text
from isengard.engine import catalog
from isengard.engine.pocket import dataset, identity, trial
from isengard.engine.pocket.captions import facts, say
from isengard.engine.pocket.card import Gate
from isengard.engine.trainer.data import STRANGERS, stranger

Make = Callable[..., identity.Verdict]
HATS = sum(each.hat != "none" for each in trial.SITUATIONS)


@pytest.fixture
def verdict() -> Make:
    """A person who is always found, moves 0.8 when called and 0.2 when not, and obeys as the base does."""

    def make(**changes: Any) -> identity.Verdict:
        count = len(trial.SITUATIONS)
        moved = np.full((len(trial.ROLES), count), 0.2)
        moved[0] = 0.8
        obeyed = {key: np.ones((2, HATS if key == "hat" else count), bool) for key in identity.ATTRIBUTES}
        usual = identity.Verdict(np.ones(count, bool), np.ones(count, bool), moved, obeyed, (60.0, 50.0, 3.0))
        return replace(usual, **changes)

    return make


def by_name(gates: list[Gate], part: str) -> Gate:
    return next(gate for gate in gates if part in gate.what)


def test_every_gate_is_kept_by_a_person_who_comes_only_when_called(verdict: Make) -> None:
    assert {gate.passed for gate in identity.gates([verdict(), verdict()])} == {True, None}


def test_leak_is_the_share_of_the_triggers_movement(verdict: Make) -> None:
    found = identity.gates([verdict()])
    assert by_name(found, "a name that nobody has").measured == pytest.approx(0.25)


def test_a_stranger_who_moves_half_as_far_misses_the_gate(verdict: Make) -> None:
    moved = verdict().moved
    moved[3] = 0.4
    assert by_name(identity.gates([verdict(moved=moved)]), "a name that nobody has").passed is False


def test_a_person_who_is_found_too_seldom_misses_the_gate(verdict: Make) -> None:
    seldom = np.arange(len(trial.SITUATIONS)) < 4
    assert by_name(identity.gates([verdict(first=seldom)]), "own person first").passed is False


def test_a_background_that_only_the_base_obeys_misses_the_gate(verdict: Make) -> None:
    obeyed = {**verdict().obeyed, "background": np.array([[False] * 6, [True] * 6])}
    assert by_name(identity.gates([verdict(obeyed=obeyed)]), "background").passed is False


def test_a_training_beyond_its_time_misses_the_gate(verdict: Make) -> None:
    assert by_name(identity.gates([verdict(seconds=(91.0, 80.0, 3.0))]), "training").passed is False


def test_photos_are_captioned_as_the_product_captions_them() -> None:
    index, number = 3, 5
    rng = np.random.default_rng([trial.PEOPLE + index, number])
    told = say(facts(trial.who(index), trial.how(index, number)), rng, None, looks=False)[0]
    assert trial.caption(index, number) == training_text(told, trial.TRIGGER)


def test_no_trained_picture_is_looked_at_by_the_judges() -> None:
    assert not {*range(trial.PHOTOS)} & {*identity.CENTRE, *identity.REAL}


def test_the_strangers_name_is_new_to_pocket_and_to_preservation() -> None:
    seed = catalog_default("seed")
    kept = {
        stranger(trial.TRIGGER, f"{seed} {index} {number}")
        for index in range(trial.PHOTOS)
        for number in range(STRANGERS)
    }
    assert trial.STRANGER not in {*kept, *dataset.names(), trial.TRIGGER}


def catalog_default(name: str) -> Any:
    return next(param.default for param in catalog.training_params("pocket") if param.name == name)


def test_another_recipe_is_another_plan_so_nothing_stale_is_judged() -> None:
    params = trial.default_params()
    plan = trial.Plan(str(catalog.POCKET), params, 64)
    assert plan.key != replace(plan, params={**params, "steps": params["steps"] + 50}).key


def test_a_finished_person_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = trial.Plan(str(catalog.POCKET), trial.default_params(), 64)
    done = tmp_path / plan.key / "00.npz"
    done.parent.mkdir()
    done.write_bytes(b"finished")
    monkeypatch.setattr(trial, "run", None)
    assert identity.produce(plan, 1, tmp_path, processes=1) == [done]
