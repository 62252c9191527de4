"""The page of a comparison: the table, the curves on one chart, pictures side by side, keeping the best."""

import pytest
from django.test import Client
from django.urls import reverse

from characters.models import Character
from isengard.jobs.models import JobMetric
from tests.pages.rows import HTMX, add_sample, put, queries, text
from tests.people import make_lora
from training import sweeps
from training.models import Lora, TrainingRun, TrainingSweep


@pytest.fixture
def sweep(mira: Character) -> TrainingSweep:
    return sweeps.start(character=mira, preset="quick", base="pocket", values={}, axes={"lora_rank": [8, 16]})


def runs(sweep: TrainingSweep) -> list[TrainingRun]:
    return list(sweep.runs.select_related("job").order_by("id"))


def learn(run: TrainingRun, *losses: float, every: int = 1) -> None:
    steps = range(every, every * (len(losses) + 1), every)
    rows = [JobMetric(job=run.job, step=step, loss=loss) for step, loss in zip(steps, losses, strict=True)]
    JobMetric.objects.bulk_create(rows)


def address(sweep: TrainingSweep, name: str = "sweep") -> str:
    return reverse(f"training:{name}", args=[sweep.pk])


def test_each_training_stands_with_its_values(client: Client, sweep: TrainingSweep) -> None:
    page = text(client.get(address(sweep)))
    assert "Comparing LoRA rank" in page and all(run.job.public_id in page for run in runs(sweep))
    assert "run1:1 · LoRA rank 8:run-1,run2:2 · LoRA rank 16:run-2" in page


def test_the_lowest_loss_is_marked(client: Client, sweep: TrainingSweep) -> None:
    first, second = runs(sweep)
    learn(first, 0.5, 0.5)
    learn(second, 0.25, 0.25)
    rows = client.get(address(sweep)).context["rows"]
    assert [(row["loss"], row["lowest"]) for row in rows] == [(pytest.approx(0.5), False), (pytest.approx(0.25), True)]


def test_curves_share_their_steps(client: Client, sweep: TrainingSweep) -> None:
    first, second = runs(sweep)
    learn(first, 0.5, 0.5, 0.5)
    learn(second, 0.25, every=2)
    told = client.get(address(sweep, "sweep-series")).json()
    assert told["steps"] == [1, 2, 3] and told["run2"] == [None, pytest.approx(0.25), None]


def test_long_curves_are_thinned_and_keep_their_newest_steps(client: Client, sweep: TrainingSweep) -> None:
    first, second = runs(sweep)
    learn(first, *[0.5] * 1999)
    learn(second, *[0.5] * 1500)
    told = client.get(address(sweep, "sweep-series")).json()
    assert len(told["steps"]) < 450 and told["steps"][-1] == 1999 and told["run2"][told["steps"].index(1500)]


def test_pictures_stand_side_by_side_at_the_newest_step_that_most_have(client: Client, sweep: TrainingSweep) -> None:
    first, second = runs(sweep)
    add_sample(first, 50), add_sample(second, 50), add_sample(first, 100)
    shown = client.get(address(sweep)).context["samples"]
    assert (shown["step"], shown["steps"]) == (50, [50, 100]) and all(line["cells"][0] for line in shown["rows"])
    assert client.get(address(sweep) + "?step=100").context["samples"]["rows"][1]["cells"] == [None]


def test_it_is_asked_again_until_all_are_over(client: Client, sweep: TrainingSweep) -> None:
    assert "every 20s" in text(client.get(address(sweep), headers=HTMX))
    for run in runs(sweep):
        put(run.job, "completed")
    assert "every 20s" not in text(client.get(address(sweep), headers=HTMX))


def test_the_best_is_kept(client: Client, sweep: TrainingSweep, mira: Character) -> None:
    best, _ = runs(sweep)
    put(best.job, "completed")
    lora = make_lora(mira, active=False)
    Lora.objects.filter(pk=lora.pk).update(run=best)
    assert "Keep this" in text(client.get(address(sweep)))
    answer = client.post(reverse("training:sweep-keep", args=[sweep.pk, best.job.public_id]))
    assert answer.headers["Location"] == best.get_absolute_url() and Lora.objects.get().is_active


def test_a_comparison_that_is_not_there_is_not_found(client: Client, db: None) -> None:
    assert client.get("/training/sweeps/99").status_code == 404


def test_it_costs_the_same_however_many_samples(client: Client, sweep: TrainingSweep) -> None:
    first, second = runs(sweep)
    add_sample(first, 0)
    few = queries(client, address(sweep))
    for step in range(50, 300, 50):
        add_sample(first, step), add_sample(second, step)
    assert queries(client, address(sweep)) == few
