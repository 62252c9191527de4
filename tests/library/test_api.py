"""The JSON API of the LoRA library: upload, change, use, publish, download in two key styles."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from characters.models import Character
from isengard import storage
from isengard.engine import lora_file
from tests.library import conftest as files
from tests.pages.rows import trained
from tests.people import add_photo, make_lora
from training.models import Lora


def send(api: APIClient, path: Path, **fields: str) -> Any:
    file = SimpleUploadedFile(path.name, path.read_bytes())
    return api.post("/api/loras/upload", {"file": file, **fields}, format="multipart")


@pytest.fixture
def lora(mira: Character) -> Lora:
    made = make_lora(mira)
    files.diffusers(storage.absolute(made.file))
    return made


def test_an_upload_answers_with_the_lora_and_its_report(api: APIClient, mira: Character, tmp_path: Path) -> None:
    answer = send(api, files.kohya(tmp_path / "k.safetensors"), character_id=mira.public_id)
    told = answer.json()
    assert answer.status_code == 201
    assert (told["character_id"], told["origin"], told["report"]["style"]) == (mira.public_id, "uploaded", "kohya")


def test_without_a_character_one_is_made(api: APIClient, tmp_path: Path) -> None:
    told = send(api, files.kohya(tmp_path / "k.safetensors"), name="Anna", trigger_word="sks").json()
    assert (told["name"], Character.objects.get().trigger_word) == ("Anna v1", "sks")


def test_a_refusal_has_its_code(api: APIClient, mira: Character, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"\x80\x02" + bytes(50))
    answer = send(api, tmp_path / "x.pt", character_id=mira.public_id)
    assert (answer.status_code, answer.json()["code"]) == (400, "lora_pickle")


def test_an_upload_for_nobody_is_not_found(api: APIClient, tmp_path: Path) -> None:
    assert send(api, files.kohya(tmp_path / "k.safetensors"), character_id="char-00000000").status_code == 404


def test_an_upload_without_a_file_is_422(api: APIClient) -> None:
    assert api.post("/api/loras/upload", {}, format="multipart").status_code == 422


def test_a_lora_is_renamed_and_gets_a_strength(api: APIClient, lora: Lora) -> None:
    told = api.patch(f"/api/loras/{lora.public_id}", {"name": "Best", "default_strength": 0.6}).json()
    assert (told["name"], told["default_strength"]) == ("Best v1", 0.6)


@pytest.mark.parametrize("given", [{"default_strength": 3}, {"default_strength": "high"}, {"name": "x" * 81}])
def test_what_cannot_be_is_refused(api: APIClient, lora: Lora, given: dict[str, Any]) -> None:
    assert api.patch(f"/api/loras/{lora.public_id}", given).status_code == 422


def test_a_lora_is_made_the_active_one(api: APIClient, mira: Character, lora: Lora) -> None:
    other = make_lora(mira, 2, active=False)
    assert api.post(f"/api/loras/{other.public_id}/activate").json()["is_active"]
    assert Lora.objects.active().get() == other


@pytest.mark.parametrize("style", ["diffusers", "kohya"])
def test_a_lora_is_downloaded_in_either_style(api: APIClient, lora: Lora, tmp_path: Path, style: str) -> None:
    address = api.get(f"/api/loras/{lora.public_id}").json()["downloads"][style]
    answer = api.get(address)
    path = tmp_path / "x.safetensors"
    path.write_bytes(answer.getvalue())
    assert lora_file.inspect(path).style == style
    assert ("-kohya" in answer.headers["Content-Disposition"]) == (style == "kohya")


def test_an_unknown_style_is_refused(api: APIClient, lora: Lora) -> None:
    assert api.get(f"/api/loras/{lora.public_id}/download?style=a1111").json()["code"] == "bad_style"


def test_a_checkpoint_is_published(api: APIClient, mira: Character) -> None:
    add_photo(mira, 0)
    run = trained(mira, "running")
    key = f"{storage.run_key(run.job.public_id)}/checkpoints/step-000100.safetensors"
    storage.absolute(key).parent.mkdir(parents=True)
    run.checkpoints.create(step=100, file=key, size_bytes=1)
    files.diffusers(storage.absolute(key))
    told = api.post(f"/api/training/{run.job.public_id}/checkpoints/100/publish").json()
    assert (told["origin"], told["steps"], told["training_job_id"]) == ("checkpoint", 100, run.job.public_id)


def test_a_checkpoint_that_is_not_there_is_not_found(api: APIClient, mira: Character) -> None:
    assert api.post("/api/training/train-000000000000/checkpoints/1/publish").status_code == 404
