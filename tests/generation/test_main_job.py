"""The main job over the API: photos, a LoRA, pictures. By the scripted engine for the wiring, by Pocket for real."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rest_framework.test import APIClient
from safetensors import safe_open

from characters.models import Character
from isengard import storage
from isengard.engine import recipe
from isengard.jobs import runner
from isengard.jobs.host import ENGINE_COMMAND, EngineHost
from tests import scripted_engine
from tests.people import make_character

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
SMALL = {"steps": 100, "lora_rank": 4, "batch_size": 1, "resolution": 64, "class_images": 0, "sample_count": 1}
SCRIPT = {"steps": 5, "samples": 1, "checkpoints": 1}


@pytest.fixture
def work(tmp_path: Path) -> Any:
    """Runs whatever is queued: with an engine that follows a script, or (without one) with the real one."""

    def run(**script: Any) -> None:
        env = {"SCRIPTED_ENGINE": json.dumps(script), "OMP_NUM_THREADS": "1"}
        command = scripted_engine.COMMAND if script else ENGINE_COMMAND
        host = EngineHost("gpu0", tmp_path / "gpu0.lock", env, command=command)
        runner.run_lane("gpu", "test/0", host)
        host.close()

    return run


def trained(api: APIClient, character: Character, work: Any, **script: Any) -> dict[str, Any]:
    config = {**SMALL, "sample_every_n_steps": 100}
    job = api.post("/api/training", {"character_id": character.public_id, "config": config}).json()
    work(**script)
    return api.get(f"/api/training/{job['id']}").json()


def drawn(api: APIClient, character: Character, work: Any, **script: Any) -> dict[str, Any]:
    config = {"prompt": "a photo of {trigger_word}", "lora_id": character.public_id, "seed": 3, "steps": 4}
    job = api.post("/api/generation", {"config": config}).json()
    work(**script)
    return api.get(f"/api/generation/{job['id']}").json()


def test_a_training_ends_with_a_lora_and_its_config(api: APIClient, volume: Path, work: Any) -> None:
    character = make_character()
    job = trained(api, character, work, **SCRIPT)
    assert (job["status"], job["progress"], job["version"]) == ("completed", 100, 1)
    lora = storage.absolute(job["output_file"])
    assert lora.is_file() and (lora.parent / "training_config.json").is_file()
    assert api.get(f"/api/characters/{character.public_id}").json()["lora_path"]


def test_samples_and_checkpoints_are_served(api: APIClient, volume: Path, work: Any) -> None:
    job = trained(api, make_character(), work, **SCRIPT)
    artifacts = api.get(f"/api/jobs/{job['id']}/artifacts").json()["artifacts"]
    assert {"sample", "checkpoint", "model"} <= {artifact["type"] for artifact in artifacts}
    assert {api.get(artifact["url"]).status_code for artifact in artifacts} == {200}


def test_pictures_with_the_characters_lora_end_as_files(api: APIClient, volume: Path, work: Any) -> None:
    character = make_character()
    trained(api, character, work, **SCRIPT)
    job = drawn(api, character, work, **SCRIPT)
    assert job["status"] == "completed"
    assert api.get(job["output_paths"][0]).headers["Content-Type"] == "image/png"


def test_a_failed_engine_is_told_with_its_sentence(api: APIClient, volume: Path, work: Any) -> None:
    error = {"code": "out_of_memory", "message": "Lower the resolution.", "retryable": False}
    job = trained(api, make_character(), work, error_at=2, error=error)
    assert (job["status"], job["error_message"], job["output_path"]) == ("failed", "Lower the resolution.", None)


def test_queued_pictures_of_a_deleted_lora_fail_with_its_name(api: APIClient, volume: Path, work: Any) -> None:
    character = make_character()
    lora = trained(api, character, work, **SCRIPT)["lora_id"]
    asked = {"config": {"prompt": "smiling", "lora_id": lora}}
    job = api.post("/api/generation", asked).json()["id"]
    api.delete(f"/api/loras/{lora}")
    work(**SCRIPT)
    failed = api.get(f"/api/generation/{job}").json()
    assert failed["status"] == "failed" and failed["error_code"] == "lora_deleted"
    assert failed["error_message"].startswith(f"Mira v1 ({lora}) was deleted.")


def test_pocket_learns_and_draws(api: APIClient, volume: Path, work: Any) -> None:
    character = make_character()
    training = trained(api, character, work)
    assert training["status"] == "completed", training["error_message"]
    with safe_open(storage.absolute(training["output_file"]), "np") as lora:
        assert any("lora" in name for name in set(lora.keys())) and lora.metadata()
    job = drawn(api, character, work)
    assert job["status"] == "completed", job["error_message"]
    path = storage.absolute(job["output_files"][0])
    read = recipe.read_png(path)
    assert (read["prompt"], read["seed"]) == ("a photo of ohwxmira", 3)
    with Image.open(path) as image:
        assert image.size == (96, 96) and "parameters" in image.info
