"""The numbers behind the charts: thinned without losing peaks, smoothed, and marked where a run broke off."""

import pytest

from characters.models import Character
from isengard.jobs import events
from isengard.jobs.models import Job, JobMetric, JobStat
from training import curves
from training.models import TrainingRun
from training.services import start_training

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(mira: Character) -> TrainingRun:
    run = start_training(character=mira, preset="quick", base="pocket", values={})
    JobMetric.objects.bulk_create(JobMetric(job=run.job, step=step, loss=1 / step) for step in range(1, 5001))
    return run


def told(job: Job, kind: str, **payload: object) -> None:
    events.append(job, kind, payload)


def test_a_long_curve_is_thinned_to_what_a_screen_can_show(run: TrainingRun) -> None:
    curve = curves.loss(run)
    assert {len(values) for values in curve.values()} == {len(curve["steps"])}
    assert curves.BUCKETS <= len(curve["steps"]) <= 2 * curves.BUCKETS + 1


def test_a_thinned_curve_ends_at_the_newest_step(run: TrainingRun) -> None:
    curve = curves.loss(run)
    assert (curve["steps"][-1], curve["loss"][-1]) == (5000, 1 / 5000)


def test_a_single_peak_survives_the_thinning(run: TrainingRun) -> None:
    run.job.metrics.filter(step=3333).update(loss=9.0)
    assert max(curves.loss(run)["loss"]) == 9.0


def test_a_zoomed_curve_has_every_step_of_its_range(run: TrainingRun) -> None:
    assert curves.loss(run, first=1000, last=1400)["steps"] == list(range(1000, 1401))


def test_zooming_does_not_change_the_smoothed_loss(run: TrainingRun) -> None:
    zoomed, whole = curves.loss(run, first=4990), curves.loss(run)
    assert zoomed["smooth"][-1] == whole["smooth"][-1]


@pytest.mark.parametrize(("smoothing", "last"), [(0.0, 3.0), (0.5, 2.125 / 0.875)])
def test_a_smoothed_loss_forgets_without_lag(smoothing: float, last: float) -> None:
    assert curves.smoothed([1.0, 2.0, 3.0], smoothing)[-1] == pytest.approx(last)


@pytest.mark.parametrize(("said", "meant"), [("0.5", 0.5), ("7", 0.995), ("-1", 0.0), ("nan", 0.0), ("much", 0.9)])
def test_any_smoothing_that_is_said_becomes_a_possible_one(said: str, meant: float) -> None:
    assert curves.smoothing_of(said) == meant


def test_a_run_without_steps_has_an_empty_curve(run: TrainingRun) -> None:
    JobMetric.objects.all().delete()
    assert not any(curves.loss(run).values())


def broken_off(job: Job) -> None:
    told(job, "state", state="running", attempt=1)
    told(job, "checkpoint", step=100, name="000100.safetensors")
    told(job, "state", state="queued", reason="The studio stopped.")
    told(job, "state", state="running", attempt=1)


def test_an_interrupted_run_says_where_it_was_taken_up_again(run: TrainingRun) -> None:
    broken_off(run.job)
    assert curves.interruptions(run.job) == [{"step": 100, "reason": "The studio stopped."}]


def test_the_curve_is_one_with_a_point_where_it_was_taken_up_again(run: TrainingRun) -> None:
    broken_off(run.job)
    curve = curves.loss(run, last=500)
    assert [step for step, mark in zip(curve["steps"], curve["resumed"], strict=True) if mark is not None] == [101]


def test_the_first_attempt_is_no_interruption(run: TrainingRun) -> None:
    told(run.job, "state", state="running", attempt=1)
    told(run.job, "checkpoint", step=100, name="000100.safetensors")
    assert curves.interruptions(run.job) == []


def test_the_machine_s_numbers_come_in_minutes_and_gigabytes(run: TrainingRun) -> None:
    JobStat.objects.create(job=run.job, seconds=90, cpu_percent=50, rss_bytes=2_500_000_000)
    shown = curves.machine(run.job)
    assert (shown["steps"], shown["cpu"], shown["ram"], shown["gpu"]) == ([1.5], [50], [2.5], [None])


def test_hours_of_the_machine_are_averaged(run: TrainingRun) -> None:
    JobStat.objects.bulk_create(JobStat(job=run.job, seconds=5 * n, cpu_percent=n % 2 * 100) for n in range(4000))
    shown = curves.machine(run.job)
    assert len(shown["steps"]) == 800 and set(shown["cpu"]) == {40.0, 60.0}
