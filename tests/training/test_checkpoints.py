"""Checkpoints as people keep them: pins that the engine hears of, reasons, disk cost, over pages and API alike."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from characters.models import Character
from isengard import storage
from isengard.engine import rundir
from isengard.errors import Conflict
from training import checkpoints
from training.handlers import TrainingHandler
from training.models import Checkpoint, TrainingRun
from training.services import start_training

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(mira: Character) -> TrainingRun:
    return start_training(character=mira, preset="quick", base="pocket", values={})


@pytest.fixture
def folder(run: TrainingRun) -> Path:
    return storage.absolute(storage.run_key(run.job.public_id))


@pytest.fixture
def saved(run: TrainingRun, folder: Path) -> list[Checkpoint]:
    for step, loss in ((50, 0.5), (100, 0.1), (150, 0.3), (200, 0.2)):
        path = rundir.checkpoint(folder, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
        event: dict[str, Any] = {"type": "checkpoint", "path": str(path), "step": step, "size_bytes": 1000}
        TrainingHandler().on_event(run.job, {**event, "loss": loss})
    return list(run.checkpoints.all())


def test_a_pin_reaches_the_engine(saved: list[Checkpoint], folder: Path) -> None:
    checkpoints.pin(checkpoint=saved[0], pinned=True)
    checkpoints.pin(checkpoint=saved[2], pinned=True)
    assert rundir.pinned(folder) == {50, 150}


def test_a_pin_can_be_taken_back(saved: list[Checkpoint], folder: Path) -> None:
    checkpoints.pin(checkpoint=saved[0], pinned=True)
    checkpoints.pin(checkpoint=saved[0], pinned=False)
    saved[0].refresh_from_db()
    assert (rundir.pinned(folder), saved[0].pinned) == (set(), False)


def test_what_was_deleted_cannot_be_pinned(saved: list[Checkpoint], folder: Path) -> None:
    rundir.checkpoint(folder, 50).unlink()
    with pytest.raises(Conflict, match="Step 50 was deleted"):
        checkpoints.pin(checkpoint=saved[0], pinned=True)
    assert rundir.pinned(folder) == set()


def test_every_kept_checkpoint_says_why(run: TrainingRun, saved: list[Checkpoint]) -> None:
    checkpoints.pin(checkpoint=saved[0], pinned=True)
    kept = {row["row"].step: row["why"] for row in checkpoints.shown(run)["kept"]}
    wanted = {200: "the newest", 150: "spread over the training", 100: "lowest loss so far", 50: "pinned by you"}
    assert kept == wanted


def test_the_disk_cost_leaves_out_what_is_deleted(run: TrainingRun, saved: list[Checkpoint]) -> None:
    Checkpoint.objects.filter(pk=saved[0].pk).update(deleted_because="made room")
    shown = checkpoints.shown(run)
    assert (shown["bytes"], [row.step for row in shown["deleted"]]) == (3000, [50])


def test_the_api_pins_and_lists(api: APIClient, run: TrainingRun, saved: list[Checkpoint]) -> None:
    address = f"/api/training/{run.job.public_id}/checkpoints"
    assert api.post(f"{address}/100/pin", {"pinned": True}, format="json").json()["pinned"] is True
    assert [row["pinned"] for row in api.get(address).json()] == [False, True, False, False]


def test_the_api_refuses_a_checkpoint_that_never_was(api: APIClient, run: TrainingRun) -> None:
    answer = api.post(f"/api/training/{run.job.public_id}/checkpoints/7/pin", {"pinned": True}, format="json")
    assert answer.status_code == 404


@pytest.mark.parametrize("query", ["smoothing=2", "first=-1", "last=soon"])
def test_the_api_refuses_a_curve_that_makes_no_sense(api: APIClient, run: TrainingRun, query: str) -> None:
    assert api.get(f"/api/training/{run.job.public_id}/curve?{query}").status_code in {400, 422}


def test_the_api_gives_the_curve_and_the_machine(api: APIClient, run: TrainingRun) -> None:
    run.job.metrics.create(step=1, loss=0.5)
    run.job.stats.create(seconds=60, cpu_percent=25)
    address = f"/api/training/{run.job.public_id}"
    assert api.get(f"{address}/curve").json()["smooth"] == [0.5]
    assert api.get(f"{address}/machine").json()["cpu"] == [25]
