"""A training job and the engine: the spec, the rows that events write, the LoRA at the end, what is tidied."""

import json
from pathlib import Path
from typing import Any

import pytest

from characters.models import Character
from isengard import storage
from isengard.engine import rundir
from isengard.engine.specs import spec_from_dict
from isengard.jobs.models import Job
from tests.people import engine_result
from training import services
from training.handlers import TrainingHandler
from training.models import Lora, TrainingRun


@pytest.fixture
def run(mira: Character) -> TrainingRun:
    return services.start_training(character=mira, preset="quick", base="pocket", values={"sample_count": 2})


@pytest.fixture
def folder(run: TrainingRun) -> Path:
    return storage.absolute(storage.run_key(run.job.public_id))


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def checkpoint(run: TrainingRun, folder: Path, step: int) -> None:
    path = put(rundir.checkpoint(folder, step))
    event = {"type": "checkpoint", "path": str(path), "step": step, "size_bytes": 1, "state": ""}
    TrainingHandler().on_event(run.job, event)


def sample(
    run: TrainingRun, folder: Path, step: int, index: int = 0, prompt: str = "ohwxmira"
) -> dict[str, Any] | None:
    path = put(rundir.sample(folder, step, index))
    facts = {"prompt": prompt, "seed": 1, "width": 64, "height": 64}
    event = {"type": "sample", "path": str(path), "step": step, "prompt_index": index, **facts}
    return TrainingHandler().on_event(run.job, event)


def finish(run: TrainingRun, content: bytes = b"lora") -> Lora:
    TrainingHandler().finish(run.job, engine_result(run, content))
    return Lora.objects.get(run=run)


def test_the_spec_survives_the_way_to_the_engine(run: TrainingRun) -> None:
    spec = TrainingHandler().spec(run.job)
    assert spec_from_dict(json.loads(json.dumps(spec))).to_dict() == spec


def test_the_spec_names_files_that_exist_and_prompts_with_the_trigger(run: TrainingRun) -> None:
    spec = TrainingHandler().spec(run.job)
    assert all(Path(image["path"]).is_file() for image in spec["images"])
    assert spec["prompts"] == ("a photo of ohwxmira", "a photo of a person")


def test_a_second_attempt_resumes_from_the_newest_state(run: TrainingRun, folder: Path) -> None:
    assert TrainingHandler().spec(run.job)["resume_from"] is None
    put(rundir.state(folder, 100))
    newest = put(rundir.state(folder, 200))
    assert TrainingHandler().spec(run.job)["resume_from"] == str(newest)


def test_a_sample_is_one_row_however_often_it_is_told(run: TrainingRun, folder: Path) -> None:
    sample(run, folder, 50)
    told = sample(run, folder, 50)
    assert told is not None and told["name"] == "000050-00.png"
    assert run.samples.count() == 1


def test_a_sample_without_the_trigger_is_a_leak_check(run: TrainingRun, folder: Path) -> None:
    sample(run, folder, 50, 0, "a photo of ohwxmira")
    sample(run, folder, 50, 1, "a photo of a person")
    assert [row.is_leak_check for row in run.samples.all()] == [False, True]


def test_a_checkpoint_that_the_engine_dropped_says_why_and_is_offered_no_more(run: TrainingRun, folder: Path) -> None:
    checkpoint(run, folder, 100)
    rundir.checkpoint(folder, 100).unlink()
    checkpoint(run, folder, 200)
    assert [bool(row.deleted_because) for row in run.checkpoints.all()] == [True, False]
    assert [found["step"] for found in TrainingHandler().artifacts(run.job) if found["type"] == "checkpoint"] == [200]


def test_a_checkpoint_that_is_saved_again_is_there_again(run: TrainingRun, folder: Path) -> None:
    checkpoint(run, folder, 100)
    rundir.checkpoint(folder, 100).unlink()
    checkpoint(run, folder, 200)
    checkpoint(run, folder, 100)
    assert run.checkpoints.filter(deleted_because="").count() == 2


def tick(run: TrainingRun, name: str, state: str) -> None:
    event = {"type": "check", "name": name, "state": state, "text": "two steps work", "seconds": 0.5}
    TrainingHandler().on_event(run.job, event)


def test_the_ticks_of_the_check_keep_their_newest_state(run: TrainingRun) -> None:
    tick(run, "photos", "ok"), tick(run, "step", "running"), tick(run, "step", "ok")
    run.refresh_from_db()
    assert [(check["name"], check["state"]) for check in run.checks] == [("photos", "ok"), ("step", "ok")]


def test_what_the_probe_measured_is_kept(run: TrainingRun) -> None:
    TrainingHandler().on_event(run.job, {"type": "probe", "seconds_per_step": 0.25, "peak_rss_bytes": 7})
    run.refresh_from_db()
    assert run.measured["probe"] == {"seconds_per_step": 0.25, "peak_rss_bytes": 7}


def test_a_finished_training_is_the_next_version_and_active(run: TrainingRun, mira: Character) -> None:
    first = finish(run)
    assert (first.version, first.is_active, first.base, first.family) == (1, True, "pocket", "flux1")
    assert storage.absolute(first.file).read_bytes().endswith(b"lora")
    assert first.filename == f"mira-v1-{first.sha256[:8]}.safetensors"


def again(run: TrainingRun) -> TrainingRun:
    Job.objects.update(state=Job.State.COMPLETED)
    return services.start_training(character=run.character, preset="quick", base="pocket", values={})


def test_the_second_version_takes_over_and_overwrites_nothing(run: TrainingRun) -> None:
    first = finish(run)
    second = finish(again(run), b"other")
    first.refresh_from_db()
    assert (second.version, second.is_active, first.is_active) == (2, True, False)
    assert storage.absolute(first.file).is_file() and first.file != second.file


def test_a_version_number_is_never_given_twice(run: TrainingRun) -> None:
    first = finish(run)
    later = again(run)
    services.delete_lora(lora=first)
    TrainingRun.objects.filter(pk=run.pk).delete()
    assert finish(later).version == 2


def test_the_training_config_lies_beside_the_lora_without_paths(run: TrainingRun, folder: Path) -> None:
    path = storage.absolute(finish(run).file)
    config = json.loads((path.parent / "training_config.json").read_text())
    assert config["job_id"] == run.job.public_id and config["config"]["steps"] == 100
    assert str(folder.parent.parent) not in json.dumps(config)
    assert json.loads(path.with_suffix(".json").read_text()) == config


def test_a_completed_run_keeps_what_it_needs_to_go_on_and_drops_the_spare_lora(run: TrainingRun, folder: Path) -> None:
    sample(run, folder, 50)
    put(rundir.state(folder, 50))
    put(rundir.final(folder))
    Job.objects.update(state=Job.State.COMPLETED)
    TrainingHandler().on_ended(Job.objects.get())
    assert sorted(path.name for path in folder.iterdir()) == ["photos", "samples", "state"]


def test_a_newer_version_ends_that_the_older_can_go_on(run: TrainingRun, folder: Path) -> None:
    put(rundir.state(folder, 50))
    newer = again(run)
    Job.objects.update(state=Job.State.COMPLETED)
    TrainingHandler().on_ended(Job.objects.get(pk=newer.job_id))
    assert not (folder / "state").exists() and not (folder / "photos").exists()


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_a_run_that_did_not_finish_keeps_what_it_needs_to_go_on(run: TrainingRun, folder: Path, state: str) -> None:
    kept = put(rundir.state(folder, 50))
    Job.objects.update(state=state)
    TrainingHandler().on_ended(Job.objects.get())
    assert len(list((folder / "photos").iterdir())) == 3 and kept.is_file()


def test_removing_a_run_deletes_its_folder_but_not_its_lora(run: TrainingRun, folder: Path) -> None:
    lora = finish(run)
    TrainingHandler().on_removed(run.job)
    assert not folder.exists() and storage.absolute(lora.file).is_file()


def test_artifacts_are_samples_checkpoints_and_the_lora(run: TrainingRun, folder: Path) -> None:
    sample(run, folder, 50)
    checkpoint(run, folder, 100)
    lora = finish(run)
    artifacts = TrainingHandler().artifacts(run.job)
    assert [artifact["type"] for artifact in artifacts] == ["sample", "checkpoint", "model"]
    assert artifacts[-1]["url"] == f"/api/loras/{lora.public_id}/download"
