"""The identity test, reduced: two people trained by the default recipe on the shipped weights. It takes minutes, so it
runs last.

Looser bounds than the full test's (two people are few); a recipe that leaks or does not learn still fails them."""

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

import json

from isengard.engine import catalog
from isengard.engine.pocket import identity, trial
from isengard.engine.pocket.card import Gate
from isengard.engine.pocket.judges import load_judges

pytestmark = pytest.mark.slow
PEOPLE, SITUATIONS = 2, 4


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gate]:
    size = json.loads((catalog.POCKET / "pocket.json").read_text())["native_size"]
    plan = trial.Plan(str(catalog.POCKET), trial.default_params(), size, SITUATIONS)
    processes = min(PEOPLE, len(os.sched_getaffinity(0)))
    files = identity.produce(plan, PEOPLE, Path(tmp_path_factory.mktemp("identity")), processes)
    judges = load_judges()
    centres = identity.gallery(judges)
    verdicts = [identity.judge(judges, centres, index, file) for index, file in enumerate(files)]
    return {gate.what.partition(":")[2].strip(): gate for gate in identity.gates(verdicts)}


def test_the_trigger_calls_the_person(gates: dict[str, Gate]) -> None:
    assert gates["own person first of 20"].measured >= 0.75


@pytest.mark.parametrize(
    "others",
    [
        '"a woman" or "a man", as the person',
        "the other of the two",
        "a name that nobody has",
        "a name that Pocket knows",
    ],
)
def test_nobody_else_is_called(gates: dict[str, Gate], others: str) -> None:
    assert gates[others].measured <= 0.5


@pytest.mark.parametrize("attribute", ["background", "hat"])
def test_the_prompt_is_still_obeyed(gates: dict[str, Gate], attribute: str) -> None:
    assert gates[f"{attribute} as asked"].measured >= 0.7
