"""The page of one training: ticks, buttons, comparison, checkpoints, log, numbers, what changed since the last."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from characters.models import Character
from isengard import storage
from isengard.engine import rundir
from isengard.jobs import events
from isengard.jobs.joblog import JobLog
from isengard.jobs.models import Job, JobMetric
from tests.pages.rows import HTMX, add_sample, put, queries, text, trained
from tests.people import make_character
from training.models import Checkpoint, TrainingRun


@pytest.fixture
def run(mira: Character) -> TrainingRun:
    return trained(mira, "running", step=50, total=200, stage="training")


def part(name: str, run: TrainingRun, *more: Any) -> str:
    return reverse(f"training:{name}", args=[run.job.public_id, *more])


def saved(run: TrainingRun, step: int, **fields: Any) -> Checkpoint:
    folder = storage.absolute(storage.run_key(run.job.public_id))
    path = rundir.checkpoint(folder, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return Checkpoint.objects.create(run=run, step=step, file=storage.key_of(path), size_bytes=1_500_000, **fields)


def page(client: Client, run: TrainingRun) -> str:
    return text(client.get(run.get_absolute_url()))


@pytest.mark.parametrize("name", ["save-now", "sample-now", "pause-training", "stop-training"])
def test_a_learning_run_offers_what_can_be_asked_of_it(client: Client, run: TrainingRun, name: str) -> None:
    assert f'id="{name}"' in page(client, run)


def test_after_stop_the_state_has_the_focus(client: Client, run: TrainingRun) -> None:
    answer = text(client.post(part("cancel", run), headers=HTMX))
    assert (
        'id="job-status" data-testid="job-status" tabindex="-1" autofocus' in answer and "stop-training" not in answer
    )


def test_a_run_that_prepares_cannot_be_asked_to_save(client: Client, run: TrainingRun) -> None:
    put(run.job, "running", total=24)
    assert 'id="save-now"' not in page(client, run) and 'id="pause-training"' in page(client, run)


def test_saving_now_is_asked_of_the_job(client: Client, run: TrainingRun) -> None:
    answer = client.post(part("save-now", run), headers=HTMX)
    run.job.refresh_from_db()
    assert run.job.asked == ["save"] and "A checkpoint is saved" in answer.headers["HX-Trigger"]


def test_a_paused_run_can_go_on(client: Client, mira: Character) -> None:
    run = trained(mira)
    client.post(part("pause", run))
    assert "Paused" in page(client, run) and 'id="resume-training"' in page(client, run)
    client.post(part("resume", run))
    assert 'id="resume-training"' not in page(client, run)


def test_the_ticks_of_the_check_are_shown_with_what_was_found(client: Client, run: TrainingRun) -> None:
    run.checks = [{"name": "vae", "state": "ok", "text": "a photo comes back with 31 dB", "seconds": 2.0}]
    run.save(update_fields=["checks"])
    shown = page(client, run)
    assert "a photo comes back with 31 dB" in shown and "2.0 s" in shown and "First pictures" in shown


def test_a_failed_tick_is_seen_without_opening_anything(client: Client, mira: Character) -> None:
    run = trained(mira, "failed", error_message="Out of memory.")
    TrainingRun.objects.update(checks=[{"name": "step", "state": "failed", "text": "No room", "seconds": 0.1}])
    assert re.search(r'data-testid="checks" open> <summary>.*Training steps failed.*</summary>', page(client, run))


@pytest.mark.parametrize("state", ["cancelled", "queued"])
def test_a_check_that_somebody_stopped_has_not_failed(client: Client, mira: Character, state: str) -> None:
    run = trained(mira, state)
    TrainingRun.objects.update(checks=[{"name": "text", "state": "running", "text": "", "seconds": 0}])
    assert "Text encoders failed" not in page(client, run) and "Text encoders" in page(client, run)


def test_a_training_that_goes_on_says_at_which_step_something_is_seen(client: Client, mira: Character) -> None:
    before, run = trained(mira, "completed"), trained(mira)
    TrainingRun.objects.filter(pk=before.pk).update(params={**run.params, "steps": 120})
    settings = {"steps": 300, "checkpoint_every_n_steps": 50, "sample_every_n_steps": 100}
    TrainingRun.objects.filter(pk=run.pk).update(start="longer", parent=before, params={**run.params, **settings})
    shown = page(client, run)
    assert "The first checkpoint is saved at step 150." in shown
    assert "The first samples are drawn at step 200." in shown


def test_the_speed_is_held_against_the_plan_s(client: Client, run: TrainingRun) -> None:
    TrainingRun.objects.update(plan={"seconds_per_step": 0.25, "seconds": 90})
    assert "4.0 expected" in page(client, run) and "2 min planned" in page(client, run)


def test_a_run_that_stood_still_is_not_held_against_the_plan_s_time(client: Client, run: TrainingRun) -> None:
    TrainingRun.objects.update(plan={"seconds": 90})
    Job.objects.update(fence=2)
    assert "Elapsed" in page(client, run) and "2 min planned" not in page(client, run)


def test_an_interrupted_run_says_so(client: Client, run: TrainingRun) -> None:
    events.append(run.job, "state", {"state": "queued", "reason": "The engine was killed."})
    events.append(run.job, "state", {"state": "running", "attempt": 2})
    assert "from the beginning: The engine was killed." in page(client, run)


def test_samples_are_fetched_again_only_when_there_are_new_ones(client: Client, run: TrainingRun) -> None:
    add_sample(run, 0)
    old = client.get(run.get_absolute_url(), {"samples": "0"}, headers=HTMX)
    new = client.get(run.get_absolute_url(), {"samples": "1"}, headers=HTMX)
    assert old.headers["HX-Trigger"] == "samples:changed" and "HX-Trigger" not in new.headers


def test_any_two_steps_can_be_compared(client: Client, run: TrainingRun) -> None:
    for step in (0, 50, 100):
        add_sample(run, step), add_sample(run, step, prompt=1)
    answer = text(client.get(part("samples", run), {"prompt": "1", "left": "50", "right": "100"}))
    assert 'id="compare-1-50-100"' in answer


def test_the_newest_sample_stays_on_the_right(client: Client, run: TrainingRun) -> None:
    add_sample(run, 0), add_sample(run, 50)
    asked = {"left": "0", "right": ""}
    assert 'id="compare-0-0-50"' in text(client.get(part("samples", run), asked))
    add_sample(run, 100)
    assert 'id="compare-0-0-100"' in text(client.get(part("samples", run), asked))


def test_one_sample_cannot_be_compared(client: Client, run: TrainingRun) -> None:
    add_sample(run, 0)
    assert "data-compare" not in page(client, run)


def test_a_sample_can_be_compared_with_a_photo(client: Client, run: TrainingRun, mira: Character) -> None:
    add_sample(run, 0), add_sample(run, 50)
    photo = mira.images.order_by("pk")[1]
    shown = text(client.get(part("samples", run), {"left": photo.public_id}))
    assert f'id="compare-0-{photo.public_id}-50"' in shown and f'<img src="{escape(photo.thumb_512)}"' in shown


def test_a_step_that_nobody_drew_becomes_one_that_is_there(client: Client, run: TrainingRun) -> None:
    add_sample(run, 0), add_sample(run, 50)
    assert 'id="compare-0-0-50"' in text(client.get(part("samples", run), {"prompt": "9", "left": "7", "right": "x"}))


def test_a_checkpoint_shows_its_loss_its_size_and_why_it_is_kept(client: Client, run: TrainingRun) -> None:
    saved(run, 50, loss=0.25)
    shown = page(client, run)
    assert "loss 0.2500 · 1.5 MB" in shown and "the newest" in shown and "1 checkpoint, 1.5 MB on disk" in shown


def test_a_deleted_checkpoint_says_why(client: Client, run: TrainingRun) -> None:
    saved(run, 50, deleted_because="made room for step 100")
    assert "made room for step 100" in page(client, run) and 'id="checkpoint-50"' not in page(client, run)


def test_a_checkpoint_is_pinned_in_place(client: Client, run: TrainingRun) -> None:
    saved(run, 50)
    answer = client.post(part("pin-checkpoint", run, 50), {"pinned": "yes"}, headers=HTMX)
    assert 'aria-pressed="true"' in text(answer) and "pinned by you" in text(answer)


def test_pinning_works_without_javascript(client: Client, run: TrainingRun) -> None:
    saved(run, 50)
    answer = client.post(part("pin-checkpoint", run, 50), {"pinned": "yes"})
    assert answer.status_code == 302 and run.checkpoints.get().pinned


@pytest.fixture
def logged(run: TrainingRun) -> TrainingRun:
    log = JobLog(run.job)
    for level, words in (("DEBUG", "Step 7"), ("INFO", "Reading photos"), ("WARNING", "The disk is slow")):
        log.write(level, "test", words)
    return run


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ({}, ["Reading photos", "The disk is slow"]),
        ({"level": "WARNING"}, ["The disk is slow"]),
        ({"level": "DEBUG", "search": "step"}, ["Step 7"]),
        ({"search": "nothing"}, []),
    ],
)
def test_the_log_is_searched_and_filtered(
    client: Client, logged: TrainingRun, asked: dict[str, str], lines: list[str]
) -> None:
    shown = text(client.get(part("log", logged), asked))
    assert [words for words in ("Step 7", "Reading photos", "The disk is slow") if words in shown] == lines


def test_a_log_in_which_nothing_matches_says_so(client: Client, logged: TrainingRun) -> None:
    for asked in ({"search": "nowhere"}, {"level": "ERROR", "search": "0"}):
        shown = text(client.get(part("log", logged), asked))
        assert "Nothing in this log matches" in shown and "Nothing logged yet" not in shown
    empty = text(client.get(part("log", trained(make_character("Ann", "ohwxann"))), {"level": "INFO"}))
    assert "Nothing logged yet" in empty and "matches" not in empty


def test_a_log_that_nobody_follows_stands_still(client: Client, logged: TrainingRun) -> None:
    asks = {**HTMX, "HX-Trigger": "log-lines"}
    assert client.get(part("log", logged), headers=asks).status_code == 204
    assert client.get(part("log", logged), {"follow": "yes"}, headers=asks).status_code == 200


def test_the_chart_takes_its_smoothing_and_its_range(client: Client, run: TrainingRun) -> None:
    JobMetric.objects.bulk_create(JobMetric(job=run.job, step=step, loss=step) for step in range(1, 11))
    curve = client.get(part("chart", run), {"smoothing": "0", "first": "4", "last": "6"}).json()
    assert (curve["steps"], curve["smooth"]) == ([4, 5, 6], [4, 5, 6])


def test_a_chart_s_nonsense_is_read_as_the_whole_run(client: Client, run: TrainingRun) -> None:
    JobMetric.objects.create(job=run.job, step=1, loss=1)
    assert client.get(part("chart", run), {"smoothing": "x", "first": "-", "last": ""}).json()["steps"] == [1]


def test_what_changed_since_the_last_training_is_said(client: Client, mira: Character) -> None:
    first = trained(mira, "completed")
    TrainingRun.objects.filter(pk=first.pk).update(params={**first.params, "lora_rank": 4})
    second = trained(mira, "completed")
    changed = page(client, second)
    assert f'<del class="muted">4</del> <ins>{second.params["lora_rank"]}</ins>' in changed


def test_a_first_training_has_nothing_to_differ_from(client: Client, run: TrainingRun) -> None:
    assert 'data-testid="differences"' not in page(client, run)


def test_the_live_part_costs_the_same_however_many_checkpoints(client: Client, run: TrainingRun) -> None:
    saved(run, 10)
    few = queries(client, run.get_absolute_url())
    for step in range(20, 100, 10):
        saved(run, step)
    assert queries(client, run.get_absolute_url()) == few
