"""A training that loses its engine, and later its whole studio: one run, one chart, as if nothing had happened."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from tests.browser.conftest import (
    REDIS,
    TRAINING_SECONDS,
    Home,
    Studio,
    ask,
    completed,
    fresh_database,
    running,
    start_training,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEPS, EVERY = 150, 50
LONG = 2 * TRAINING_SECONDS


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with fresh_database() as database:
        yield Home(tmp_path_factory.mktemp("interrupted"), database, REDIS + 1)


def saved(studio: Studio, job: str, step: int) -> None:
    """Returns when there is a checkpoint of that step, or of a later one."""
    deadline = time.monotonic() + LONG
    while not any(one["step"] >= step for one in ask(studio.address, f"/api/training/{job}/checkpoints")):
        assert time.monotonic() < deadline, f"no checkpoint of step {step}"
        time.sleep(0.2)


def kill_engine(studio: Studio) -> None:
    """SIGKILL, as the kernel does when memory runs out."""
    for process in psutil.Process(studio.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # others come and go meanwhile
            if {"isengard.engine", "serve"} <= set(process.cmdline()):
                process.kill()


@pytest.fixture(scope="module")
def curves(home: Home) -> tuple[dict[str, Any], dict[str, Any]]:
    """The chart of a training that was interrupted twice, and that of the same one left in peace."""
    with running(home) as studio:
        job = start_training(studio.address, STEPS, checkpoint_every_n_steps=EVERY)
        saved(studio, job, EVERY)
        kill_engine(studio)
        saved(studio, job, 2 * EVERY)
    with running(home) as studio:
        completed(studio.address, job, LONG)
        twin = start_training(studio.address, STEPS, checkpoint_every_n_steps=EVERY)
        completed(studio.address, twin, LONG)
        one, other = (ask(studio.address, f"/api/training/{name}/curve") for name in (job, twin))
    return one, other


def test_the_chart_has_every_step_once(curves: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert curves[0]["steps"] == list(range(1, STEPS + 1))


def test_the_curve_is_that_of_a_training_left_in_peace(curves: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert curves[0]["loss"] == curves[1]["loss"]


def test_both_interruptions_are_marked_where_it_was_taken_up_again(
    curves: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    marked = [step for step, at in zip(curves[0]["steps"], curves[0]["resumed"], strict=True) if at is not None]
    assert len(marked) == 2 and marked[0] == EVERY + 1 and marked[1] > 2 * EVERY
