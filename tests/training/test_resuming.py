"""Trainings that were stopped or failed: what they keep, how they go on, and every way that is refused."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from characters.models import Character
from isengard import storage
from isengard.engine import rundir
from isengard.errors import Conflict
from isengard.jobs import services as jobs
from isengard.jobs.models import Job, JobMetric
from tests.people import add_photo, engine_result
from training import access, curves, fixes, resuming, services
from training.handlers import TrainingHandler
from training.models import Checkpoint, Sample, TrainingRun

SAVED = 150


def folder(run: TrainingRun) -> Path:
    return storage.absolute(storage.run_key(run.job.public_id))


def put(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"state")
    return storage.key_of(path)


def stopped(run: TrainingRun, state: str = "cancelled", code: str = "") -> TrainingRun:
    """The run as it is read after its end."""
    Job.objects.filter(pk=run.job_id).update(state=state, error_code=code)
    TrainingHandler().on_ended(Job.objects.get(pk=run.job_id))
    return access.get_run(run.job.public_id)


@pytest.fixture
def run(mira: Character) -> TrainingRun:
    """Took 170 of 300 steps and saved step 150: curve, sample and checkpoint up to there, a sample after it."""
    made = services.start_training(character=mira, preset="quick", base="pocket", values={"steps": 300})
    put(rundir.state(folder(made), SAVED))
    JobMetric.objects.bulk_create(JobMetric(job=made.job, step=step, loss=step / 100) for step in range(1, 171))
    for step in (0, SAVED, 160):
        facts = {"prompt": "p", "seed": 1, "width": 64, "height": 64}
        Sample.objects.create(
            run=made, step=step, prompt_index=0, file=put(rundir.sample(folder(made), step, 0)), **facts
        )
    saved = put(rundir.checkpoint(folder(made), SAVED))
    Checkpoint.objects.create(run=made, step=SAVED, file=saved, size_bytes=5, loss=0.5, pinned=True)
    return made


def test_a_stopped_training_goes_on_after_its_newest_state(run: TrainingRun) -> None:
    again = resuming.go_on(run=stopped(run))
    spec = TrainingHandler().spec(again.job)
    assert (again.begun_at, again.start, again.params) == (SAVED, "fresh", run.params)
    assert (spec["start"], spec["resume_from"]) == ("longer", str(rundir.state(folder(again), SAVED)))
    assert Path(spec["resume_from"]).is_file() and again.job.retry_of == run.job


def test_curve_samples_and_checkpoints_come_along_up_to_that_step(run: TrainingRun) -> None:
    again = resuming.go_on(run=stopped(run))
    assert list(again.job.metrics.values_list("step", flat=True)) == list(range(1, SAVED + 1))
    assert [sample.step for sample in again.samples.all()] == [0, SAVED]
    assert rundir.pinned(folder(again)) == {SAVED}
    files = [row.file for row in [*again.samples.all(), *again.checkpoints.all()]]
    assert all(again.job.public_id in file and storage.absolute(file).is_file() for file in files)


def test_it_waits_and_is_planned_from_where_it_goes_on(run: TrainingRun) -> None:
    again = resuming.go_on(run=stopped(run))
    assert (again.job.step, again.job.total, again.steps_before) == (SAVED, 300, SAVED)
    assert again.plan["seconds"] < run.plan["seconds"]


def test_the_curve_marks_where_it_was_taken_up(run: TrainingRun) -> None:
    again = resuming.go_on(run=stopped(run))
    JobMetric.objects.create(job=again.job, step=SAVED + 1, loss=1.0)
    curve = curves.loss(again)
    assert [step for step, at in zip(curve["steps"], curve["resumed"], strict=True) if at is not None] == [SAVED + 1]


def test_what_it_took_along_survives_that_the_stopped_one_is_removed(run: TrainingRun) -> None:
    again = resuming.go_on(run=stopped(run))
    TrainingHandler().on_removed(run.job)
    assert Path(TrainingHandler().spec(again.job)["resume_from"]).is_file()


def test_it_can_be_stopped_and_go_on_again(run: TrainingRun) -> None:
    second = resuming.go_on(run=stopped(run))
    put(rundir.state(folder(second), 200))
    third = resuming.go_on(run=stopped(second))
    assert third.begun_at == 200 and not rundir.states(folder(run))


def test_two_clicks_start_it_once(run: TrainingRun) -> None:
    ended = stopped(run)
    resuming.go_on(run=ended)
    with pytest.raises(Conflict, match="already"):
        resuming.go_on(run=ended)


def test_beginning_anew_takes_nothing_along(run: TrainingRun) -> None:
    again = jobs.retry(job=stopped(run).job).training_run
    assert again.begun_at == 0 and TrainingHandler().spec(again.job)["resume_from"] is None


def test_a_version_of_more_photos_goes_on_with_what_it_began_from(run: TrainingRun) -> None:
    run.start = "warm"
    run.save()
    put(rundir.initial(folder(run)))
    again = resuming.go_on(run=stopped(run))
    assert again.start == "warm" and rundir.initial(folder(again)).is_file()


def test_a_longer_version_goes_on_from_its_own_state_though_its_parent_s_is_gone(run: TrainingRun) -> None:
    longer = services.start_training(character=run.character, preset="quick", base="pocket", values={"steps": 250})
    TrainingRun.objects.filter(pk=run.pk).update(start="longer", parent=longer)
    again = resuming.go_on(run=stopped(run))
    assert (again.start, again.parent, again.begun_at, again.steps_before) == ("longer", longer, SAVED, SAVED)


def test_new_photos_of_the_character_change_nothing(run: TrainingRun, mira: Character) -> None:
    add_photo(mira, 9)
    assert len(resuming.go_on(run=stopped(run)).photos) == 3


def spoil(run: TrainingRun, what: str) -> None:
    storage.remove(f"{storage.run_key(run.job.public_id)}/{what}")


def test_without_a_state_it_says_that_it_was_deleted(run: TrainingRun) -> None:
    resuming.forget(run=stopped(run))
    with pytest.raises(Conflict, match="was deleted"):
        resuming.go_on(run=stopped(run))


def test_before_the_first_state_there_is_nothing_to_go_on_from(run: TrainingRun) -> None:
    spoil(run, "state")
    run.checkpoints.all().delete()
    assert resuming.kept(stopped(run)).why_not == "It ended before it had saved anything to go on from."


def test_with_a_photo_gone_it_cannot_go_on(run: TrainingRun) -> None:
    spoil(run, "photos")
    assert "photos are damaged or gone" in resuming.kept(stopped(run)).why_not


@pytest.mark.parametrize("code", ["loss_not_finite", "no_effect", "state_unusable", "image_unreadable"])
def test_what_would_come_again_bit_for_bit_is_not_offered(run: TrainingRun, code: str) -> None:
    ended = stopped(run, "failed", code)
    assert resuming.kept(ended).why_not == resuming.AGAIN[code]
    with pytest.raises(Conflict):
        resuming.go_on(run=ended)


@pytest.mark.parametrize("code", ["engine_hung", "disk_full", "out_of_memory", "worker_lost", "base_missing"])
def test_what_may_end_otherwise_the_next_time_goes_on(run: TrainingRun, code: str) -> None:
    assert resuming.go_on(run=stopped(run, "failed", code)).begun_at == SAVED


def labels(run: TrainingRun) -> list[str]:
    failure = fixes.of(run)
    return [offer.label for offer in failure.offers] if failure else []


def test_a_cure_that_changes_no_number_goes_on_and_any_other_says_that_it_begins_anew(run: TrainingRun) -> None:
    run.params |= {"gradient_checkpointing": "off", "quantize": "none", "batch_size": 2}
    run.save()
    told = labels(stopped(run, "failed", "out_of_memory"))
    assert told[0] == "Go on after step 150 with gradient checkpointing"
    assert all(label.startswith("Begin anew ") for label in told[1:]) and len(told) > 1


def test_memory_is_saved_without_losing_a_step(run: TrainingRun) -> None:
    again = fixes.apply(run=stopped(run, "failed", "out_of_memory"), key="recompute")
    assert (again.begun_at, again.params["gradient_checkpointing"]) == (SAVED, "on")
    assert again.params == {**run.params, "gradient_checkpointing": "on"}


def test_a_full_disk_goes_on_with_fewer_files(run: TrainingRun) -> None:
    again = fixes.apply(run=stopped(run, "failed", "disk_full"), key="checkpoints")
    assert (again.begun_at, again.params["max_checkpoints"]) == (SAVED, 1)


def test_numbers_that_ran_away_go_on_from_before_only_at_a_lower_rate(run: TrainingRun) -> None:
    ended = stopped(run, "failed", "loss_not_finite")
    rate = run.params["learning_rate"]
    assert labels(ended)[0].startswith("Go on after step 150 at a learning rate of ")
    assert labels(ended)[1].startswith("Begin anew at a learning rate of ")
    again = fixes.apply(run=ended, key="rate-on")
    assert again.begun_at == SAVED and again.params["learning_rate"] < rate


def test_a_training_without_effect_goes_on_for_more_steps(run: TrainingRun) -> None:
    assert fixes.apply(run=stopped(run, "failed", "no_effect"), key="steps").begun_at == SAVED


def test_a_newer_version_lets_go_of_the_state_but_not_of_what_a_retry_needs(run: TrainingRun, mira: Character) -> None:
    stopped(run)
    newer = services.start_training(character=mira, preset="quick", base="pocket", values={})
    TrainingHandler().finish(newer.job, engine_result(newer))
    stopped(newer, "completed")
    assert not rundir.states(folder(run)) and list((folder(run) / "photos").iterdir())


def test_an_older_training_that_completes_later_takes_nothing_from_a_newer_one(
    run: TrainingRun, mira: Character
) -> None:
    newer = services.start_training(character=mira, preset="quick", base="pocket", values={})
    put(rundir.state(folder(newer), SAVED))
    stopped(newer)
    TrainingHandler().finish(run.job, engine_result(run))
    stopped(run, "completed")
    assert rundir.states(folder(newer))


def test_a_training_that_runs_keeps_its_state(run: TrainingRun) -> None:
    with pytest.raises(Conflict):
        resuming.forget(run=run)
    assert rundir.states(folder(run))


def test_the_page_goes_on_says_what_that_costs_and_lets_go(client: Client, run: TrainingRun) -> None:
    ended = stopped(run)
    page = client.get(ended.get_absolute_url()).content.decode()
    assert "Go on after step 150" in page and "Begin anew" in page and "takes 5" in page
    client.post(reverse("training:forget-state", args=[run.job.public_id]))
    assert "Go on after" not in client.get(ended.get_absolute_url()).content.decode()


def test_the_page_of_the_new_run_leads_to_the_stopped_one(client: Client, run: TrainingRun) -> None:
    answer = client.post(reverse("training:go-on", args=[stopped(run).job.public_id]))
    page = client.get(answer["Location"]).content.decode()
    assert f"Goes on after step {SAVED}" in page and run.get_absolute_url() in page


def test_the_api_tells_goes_on_and_lets_go(api: APIClient, run: TrainingRun) -> None:
    address = f"/api/training/{stopped(run).job.public_id}"
    assert api.get(f"{address}/state").json() == {"step": SAVED, "size_bytes": 5, "why_not": ""}
    answer = api.post(f"{address}/continue", {"mode": "go_on"})
    assert (answer.status_code, answer.json()["current_step"]) == (201, SAVED)
    assert api.delete(f"{address}/state").status_code == 204
    assert api.get(f"{address}/state").json()["step"] == 0


@pytest.mark.parametrize("more", [{"steps": 5}, {"config": {"seed": 7}}])
def test_the_api_changes_nothing_while_it_goes_on(api: APIClient, run: TrainingRun, more: dict[str, Any]) -> None:
    answer = api.post(f"/api/training/{stopped(run).job.public_id}/continue", {"mode": "go_on", **more})
    assert answer.status_code == 400 and not TrainingRun.objects.exclude(pk=run.pk).exists()
