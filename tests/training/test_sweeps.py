"""Comparisons: the grid that is started, what is refused, and what is left when the best is kept."""

from typing import Any

import pytest

from characters.models import Character
from isengard import storage
from isengard.errors import Conflict, Invalid, Unavailable
from isengard.jobs.models import Job
from tests.people import engine_result
from training import bases, sweeps
from training.handlers import TrainingHandler
from training.models import Lora, TrainingRun, TrainingSweep

GRID: dict[str, list[Any]] = {"learning_rate": ["1e-3", "2e-3"], "lora_rank": [8, 16]}


def start(character: Character, axes: dict[str, list[Any]] | None = None) -> TrainingSweep:
    asked: dict[str, Any] = {"preset": "quick", "base": "pocket", "values": {}, "axes": GRID if axes is None else axes}
    return sweeps.start(character=character, **asked)


def end(run: TrainingRun) -> Lora:
    TrainingHandler().finish(run.job, engine_result(run, str(run.pk).encode()))
    Job.objects.filter(pk=run.job_id).update(state=Job.State.COMPLETED)
    return Lora.objects.get(run=run)


def test_every_point_of_the_grid_waits_in_order(mira: Character) -> None:
    runs = start(mira).runs.order_by("id")
    points = [(run.params["learning_rate"], run.params["lora_rank"]) for run in runs]
    assert points == [(1e-3, 8), (1e-3, 16), (2e-3, 8), (2e-3, 16)]


def test_the_queue_tells_them_apart(mira: Character) -> None:
    first = start(mira).runs.order_by("id").first()
    assert first is not None and first.job.label == "Training Mira, Learning rate 0.001, LoRA rank 8"


@pytest.mark.parametrize(
    "axes",
    [
        {},
        {"lora_rank": [8]},
        {"lora_rank": [8, 8]},
        {"lora_rank": [8, 5]},
        {"lora_rank": []},
        {"sample_prompts": ["a", "b"]},
        {"nonsense": [1, 2]},
        {"seed": list(range(13))},
        {"seed": [1, 2], "lora_rank": [8, 16], "steps": [100, 200]},
    ],
)
def test_a_grid_that_makes_no_sense_is_refused_and_starts_nothing(mira: Character, axes: dict[str, list[Any]]) -> None:
    with pytest.raises(Invalid):
        start(mira, axes)
    assert not Job.objects.exists() and not TrainingSweep.objects.exists()


def test_a_grid_that_fails_half_way_leaves_nothing(mira: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def full() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Unavailable("disk_full", "The disk is full.")

    monkeypatch.setattr(bases, "require_space", full)
    with pytest.raises(Unavailable):
        start(mira)
    assert not Job.objects.exists() and not list(storage.absolute("runs").iterdir())


def test_the_runs_of_a_grid_keep_what_they_need_to_go_on_beside_each_other(mira: Character) -> None:
    first, second, *_ = start(mira).runs.order_by("id")
    end(first), end(second)
    TrainingHandler().on_ended(Job.objects.get(pk=second.job_id))
    assert all(storage.absolute(photo["file"]).is_file() for photo in first.photos)


def test_keeping_the_best_deletes_the_others_and_ends_what_waits(
    mira: Character, django_capture_on_commit_callbacks: Any
) -> None:
    sweep = start(mira)
    first, second, third, _ = sweep.runs.order_by("id")
    best, other = end(first), end(second)
    with django_capture_on_commit_callbacks(execute=True):
        sweeps.keep(sweep=sweep, best=first)
    assert list(Lora.objects.active()) == [best] and not storage.absolute(other.file).exists()
    third.job.refresh_from_db()
    assert third.job.state == "cancelled" and sweep.runs.count() == 4


def test_a_run_without_a_lora_cannot_be_kept(mira: Character) -> None:
    sweep = start(mira)
    with pytest.raises(Conflict, match="Only a finished training"):
        sweeps.keep(sweep=sweep, best=sweep.runs.earliest("id"))
