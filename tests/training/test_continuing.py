"""Versions that begin from an earlier one: what they take along, and every way it is refused."""

from pathlib import Path
from typing import Any

import pytest

from characters.models import Character
from isengard import storage
from isengard.engine import rundir
from isengard.errors import Conflict, Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job, JobMetric
from tests.people import add_photo, engine_result
from training import continuing, services
from training.handlers import TrainingHandler
from training.models import Lora, TrainingRun


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
