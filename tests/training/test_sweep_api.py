"""Presets, continued trainings and comparisons over the JSON API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from characters.models import Character
from isengard.jobs.models import Job
from tests.people import engine_result
from training import services
from training.handlers import TrainingHandler
from training.models import TrainingRun, UserPreset

PRESETS, SWEEPS = "/api/training/presets", "/api/training/sweeps"


@pytest.fixture
def done(mira: Character) -> TrainingRun:
    run = services.start_training(character=mira, preset="quick", base="pocket", values={})
    TrainingHandler().finish(run.job, engine_result(run))
    Job.objects.update(state=Job.State.COMPLETED)
    return run


def go_on(api: APIClient, run: TrainingRun, **asked: Any) -> Any:
    return api.post(f"/api/training/{run.job.public_id}/continue", asked)


def test_presets_say_what_they_mean(api: APIClient) -> None:
    found = {preset["key"]: preset for preset in api.get(PRESETS, {"base_model": "pocket"}).json()}
    portrait = found["portrait"]
    assert portrait["steps"] == 300 and portrait["seconds"] > 0 and portrait["likeness"] == "good"


def test_a_preset_is_saved_listed_renamed_and_deleted(api: APIClient) -> None:
    saved = api.post(PRESETS, {"name": "Mine", "base_model": "pocket", "config": {"steps": 450}})
    assert saved.status_code == 201 and saved.json()["values"] == {"steps": 450}
    address = f"{PRESETS}/{saved.json()['own']}"
    assert api.patch(address, {"name": "Yours"}).json()["key"] == "Yours"
    assert api.get(PRESETS).json()[-1]["title"] == "Yours"
    assert api.delete(address).status_code == 200 and not UserPreset.objects.exists()


@pytest.mark.parametrize("name", ["quick", "x" * 41, " "])
def test_a_preset_with_a_bad_name_is_refused(api: APIClient, name: str) -> None:
    assert api.post(PRESETS, {"name": name, "base_model": "pocket"}).status_code in {400, 422}


def test_a_training_that_has_no_state_says_so(api: APIClient, done: TrainingRun) -> None:
    answer = go_on(api, done, mode="longer", steps=50)
    assert (answer.status_code, answer.json()["code"]) == (400, "cannot_go_on")


def test_a_new_version_begins_from_a_finished_training(api: APIClient, done: TrainingRun) -> None:
    answer = go_on(api, done, mode="warm", config={"steps": 150})
    body = answer.json()
    assert (answer.status_code, body["start"], body["parent_id"]) == (201, "warm", done.job.public_id)
    assert body["config"]["steps"] == 150


@pytest.mark.parametrize(
    "asked",
    [{"mode": "longer"}, {"mode": "longer", "steps": 50, "config": {"steps": 9}}, {"mode": "warm", "steps": 50}],
)
def test_what_a_mode_cannot_do_is_refused_and_not_dropped(
    api: APIClient, done: TrainingRun, asked: dict[str, Any]
) -> None:
    assert go_on(api, done, **asked).json()["code"] == "bad_param"


def test_a_comparison_is_started_and_read(api: APIClient, mira: Character) -> None:
    asked = {"character_id": mira.public_id, "base_model": "pocket", "grid": {"lora_rank": [8, 16]}}
    started = api.post(SWEEPS, asked)
    assert started.status_code == 201
    body = api.get(f"{SWEEPS}/{started.json()['id']}").json()
    assert [run["values"] for run in body["runs"]] == [{"lora_rank": 8}, {"lora_rank": 16}]
    assert all(run["training"]["sweep_id"] == body["id"] for run in body["runs"])
    assert api.get(f"{SWEEPS}/{body['id']}/series").json() == {"steps": [], "run1": [], "run2": []}


@pytest.mark.parametrize(
    "grid", [{}, {"lora_rank": [8]}, {"nonsense": [1, 2]}, {"seed": list(range(12)), "steps": [100, 200]}]
)
def test_a_grid_that_makes_no_sense_is_refused(api: APIClient, mira: Character, grid: dict[str, Any]) -> None:
    answer = api.post(SWEEPS, {"character_id": mira.public_id, "base_model": "pocket", "grid": grid})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_grid") and not Job.objects.exists()


def test_a_run_without_a_lora_cannot_be_kept(api: APIClient, mira: Character) -> None:
    asked = {"character_id": mira.public_id, "base_model": "pocket", "grid": {"lora_rank": [8, 16]}}
    body = api.post(SWEEPS, asked).json()
    answer = api.post(f"{SWEEPS}/{body['id']}/keep", {"training_id": body["runs"][0]["training"]["id"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "no_lora")
