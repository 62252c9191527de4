"""Versions that begin from an earlier one: what they take along, and every way it is refused."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from characters.models import Character
from isengard import storage
from isengard.engine import rundir
from isengard.errors import Conflict, Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job, JobMetric
from tests.people import add_photo, engine_result
from training import access, continuing, curves, repeating, services, shown
from training.handlers import TrainingHandler
from training.models import Lora, Sample, TrainingRun


def folder(run: TrainingRun) -> Path:
    return storage.absolute(storage.run_key(run.job.public_id))


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"state")
    return path


@pytest.fixture
def done(mira: Character) -> TrainingRun:
    """A finished run with a state at its last step, a curve and a LoRA."""
    run = services.start_training(character=mira, preset="quick", base="pocket", values={"lora_rank": 8})
    put(rundir.state(folder(run), 100))
    JobMetric.objects.create(job=run.job, step=100, loss=0.5)
    for step in (0, 100):
        file = storage.key_of(put(rundir.sample(folder(run), step, 0)))
        Sample.objects.create(run=run, step=step, prompt_index=0, prompt="p", seed=1, file=file, width=64, height=64)
    TrainingHandler().finish(run.job, engine_result(run))
    Job.objects.update(state=Job.State.COMPLETED)
    Lora.objects.update(rank=8)
    TrainingHandler().on_ended(Job.objects.get())
    return TrainingRun.objects.select_related("job", "character", "lora").get()


def test_training_longer_goes_on_from_the_state_with_the_same_photos(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=150)
    spec = TrainingHandler().spec(longer.job)
    assert (spec["start"], spec["params"]["steps"], longer.parent) == ("longer", 250, done)
    assert spec["resume_from"] == str(rundir.state(folder(longer), 100)) and Path(spec["resume_from"]).is_file()
    assert [photo["sha256"] for photo in longer.photos] == [photo["sha256"] for photo in done.photos]


def test_the_curve_of_the_longer_run_begins_with_that_of_the_first(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=150)
    assert list(longer.job.metrics.values_list("step", "loss")) == [(100, 0.5)]


def test_the_samples_of_the_longer_run_begin_with_those_of_the_first(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=150)
    jobs.remove(job=done.job)
    samples = list(longer.samples.all())
    assert [sample.step for sample in samples] == [0, 100]
    assert all(storage.absolute(sample.file).is_file() for sample in samples)


def test_the_api_lists_them_with_the_longer_run(done: TrainingRun, client: Client) -> None:
    job = continuing.train_longer(run=done, steps=150).job.public_id
    listed = client.get(f"/api/jobs/{job}/artifacts").json()["artifacts"]
    assert [made["step"] for made in listed if made["type"] == "sample"] == [0, 100]
    assert client.get(f"/api/training/{job}").json()["steps_before"] == 100


def test_the_curve_marks_where_the_first_run_ended(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=150)
    JobMetric.objects.create(job=longer.job, step=101, loss=0.4)
    curve = curves.loss(longer)
    assert [step for step, at in zip(curve["steps"], curve["resumed"], strict=True) if at is not None] == [101]


def test_the_columns_say_whose_they_are_also_after_the_first_run_was_deleted(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=150)
    Job.objects.filter(pk=longer.job_id).update(started_at=timezone.now())
    Sample.objects.create(run=longer, step=150, prompt_index=0, prompt="p", seed=1, file="f", width=64, height=64)
    told = shown.sample_parts(access.get_run(longer.job.public_id), [0, 100, 150])
    assert [(part["label"], part["count"]) for part in told] == [("v1", 2), ("This training", 1)]
    jobs.remove(job=done.job)
    told = shown.sample_parts(access.get_run(longer.job.public_id), [0, 100, 150])
    assert [(part["label"], part["count"]) for part in told] == [("An earlier training", 2), ("This training", 1)]


def test_a_sample_of_the_first_run_can_be_drawn_again_from_the_longer_one(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=150)
    assert repeating.kept_steps(longer) == {0, 100}
    assert repeating.weights(longer.samples.get(step=100)) == Lora.objects.get()
    assert repeating.weights(longer.samples.get(step=0)) is None


def test_a_second_try_at_the_longer_run_tells_the_same_story(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=50)
    jobs.request_cancel(job=longer.job)
    second = jobs.retry(job=Job.objects.get(pk=longer.job_id)).training_run
    assert (second.samples.count(), second.job.metrics.count()) == (2, 1)


def test_steps_by_the_photo_do_not_take_the_longer_run_back(done: TrainingRun) -> None:
    done.params["steps_per_image"] = 34
    done.save()
    longer = continuing.train_longer(run=done, steps=50)
    assert (longer.params["steps"], longer.params["steps_per_image"]) == (150, 0)


def test_a_run_from_before_a_knob_existed_goes_on_as_it_was_meant(done: TrainingRun) -> None:
    del done.params["preservation"]
    done.save()
    assert continuing.train_longer(run=done, steps=50).params["preservation"] == 0


@pytest.mark.parametrize("steps", [0, -5, 10**9])
def test_an_impossible_number_of_steps_is_refused(done: TrainingRun, steps: int) -> None:
    with pytest.raises(Invalid):
        continuing.train_longer(run=done, steps=steps)


def test_a_run_that_did_not_finish_cannot_be_trained_longer(done: TrainingRun) -> None:
    Job.objects.update(state=Job.State.CANCELLED)
    done.refresh_from_db()
    with pytest.raises(Conflict, match="Only a finished training"):
        continuing.train_longer(run=TrainingRun.objects.get(), steps=50)


def test_a_run_whose_lora_was_deleted_cannot_be_trained_longer(
    done: TrainingRun, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_lora(lora=Lora.objects.get())
    with pytest.raises(Conflict, match="Start a new version"):
        continuing.train_longer(run=TrainingRun.objects.get(), steps=50)


def test_a_retry_of_a_longer_run_goes_on_from_the_same_state(done: TrainingRun) -> None:
    longer = continuing.train_longer(run=done, steps=50)
    jobs.request_cancel(job=longer.job)
    second = jobs.retry(job=Job.objects.get(pk=longer.job_id)).training_run
    assert (second.start, second.parent) == ("longer", done) and rundir.states(folder(second))


def test_a_new_version_begins_from_the_lora_with_the_photos_of_now(done: TrainingRun, mira: Character) -> None:
    add_photo(mira, 9)
    run = continuing.new_version(lora=Lora.objects.get(), values={})
    spec = TrainingHandler().spec(run.job)
    assert (spec["start"], spec["resume_from"], len(run.photos)) == ("warm", None, 4)
    assert Path(spec["init_lora"]).read_bytes() == storage.absolute(Lora.objects.get().file).read_bytes()
    assert (run.params["lora_rank"], run.params["steps"]) == (8, 100)


def test_what_a_new_version_begins_from_survives_that_the_lora_is_deleted(done: TrainingRun) -> None:
    run = continuing.new_version(lora=Lora.objects.get(), values={"seed": 3})
    services.delete_lora(lora=Lora.objects.get())
    assert rundir.initial(folder(run)).is_file()


@pytest.mark.parametrize("asked", [{"values": {"lora_rank": 4}}, {"values": {"lora_layers": "attention"}}])
def test_a_new_version_has_room_for_what_it_begins_from(done: TrainingRun, asked: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="begins from it"):
        continuing.new_version(lora=Lora.objects.get(), **asked)


def test_a_rank_of_thousands_of_digits_is_refused_as_any_other(done: TrainingRun) -> None:
    with pytest.raises(Invalid, match="lora_rank"):
        continuing.new_version(lora=Lora.objects.get(), values={"lora_rank": "9" * 5000})


def test_a_lora_of_earlier_weights_is_no_beginning(done: TrainingRun) -> None:
    Lora.objects.update(base_version=99)
    with pytest.raises(Invalid):
        continuing.new_version(lora=Lora.objects.get(), values={})
