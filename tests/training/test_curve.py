"""The loss curve of a long run: thinned for the screen, whole in the database."""

import pytest

from characters.models import Character
from isengard.jobs.models import JobMetric
from training import shown
from training.models import TrainingRun
from training.services import start_training

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(mira: Character) -> TrainingRun:
    run = start_training(character=mira, preset="quick", base="pocket", values={})
    JobMetric.objects.bulk_create(JobMetric(job=run.job, step=step, loss=1 / step) for step in range(1, 5001))
    return run


def test_a_long_curve_is_thinned_to_what_a_screen_can_show(run: TrainingRun) -> None:
    curve = shown.curve(run)
    assert {len(values) for values in curve.values()} == {1667}


def test_a_thinned_curve_ends_at_the_newest_step(run: TrainingRun) -> None:
    curve = shown.curve(run)
    assert (curve["steps"][-1], curve["loss"][-1]) == (5000, 1 / 5000)


def test_a_run_without_steps_has_an_empty_curve(run: TrainingRun) -> None:
    JobMetric.objects.all().delete()
    assert not any(shown.curve(run).values())
