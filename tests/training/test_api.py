"""The JSON API of trainings and LoRAs: paths, fields, codes, statuses."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from characters.models import Character
from isengard import storage
from isengard.jobs.models import Job
from tests.people import make_character, make_lora
from training.models import Lora, TrainingRun

FIELDS = {
    "id",
    "character_id",
    "status",
    "config",
    "progress",
    "current_step",
    "total_steps",
    "error_message",
    "created_at",
    "started_at",
    "completed_at",
    "output_path",
    "base_model",
    "preset_name",
    "iteration_speed",
    "eta_seconds",
    "elapsed_seconds",
    "current_loss",
}


@pytest.fixture
def character(api: APIClient, mira: Character) -> Character:
    return mira


def post(api: APIClient, character_id: str, **body: Any) -> Any:
    return api.post("/api/training", {"character_id": character_id, **body})


def started(api: APIClient, character: Character, **body: Any) -> dict[str, Any]:
    response = post(api, character.public_id, **body)
    assert response.status_code == 201, response.content
    return response.json()


def test_a_training_starts_queued_with_every_field(api: APIClient, character: Character) -> None:
    job = started(api, character, config={"steps": 150, "lora_rank": 4}, preset_name="quick")
    assert set(job) >= FIELDS
    assert (job["status"], job["total_steps"], job["progress"]) == ("queued", 150, 0)
    assert (job["config"]["method"], job["config"]["lora_rank"]) == ("lora", 4)
    assert (job["base_model"], job["preset_name"], job["output_path"]) == ("pocket", "custom", None)


def test_nothing_but_the_character_is_needed(api: APIClient, character: Character) -> None:
    assert started(api, character)["config"]["steps"] == 300


def test_a_preset_gives_its_values_and_null_means_the_default(api: APIClient, character: Character) -> None:
    job = started(api, character, preset_name="quick", config={"steps": None})
    assert (job["config"]["steps"], job["preset_name"]) == (100, "quick")


def test_synthetic_pictures_can_be_left_out(api: APIClient, character: Character) -> None:
    character.images.filter(name="photo-0.png").update(split="synthetic")
    started(api, character, synthetic=False)
    assert len(TrainingRun.objects.get().photos) == 2


def test_the_correlation_id_travels_into_the_job(api: APIClient, character: Character) -> None:
    response = api.post(
        "/api/training", {"character_id": character.public_id}, headers={"X-Correlation-ID": "cor-test"}
    )
    assert response.headers["X-Correlation-ID"] == "cor-test"
    assert Job.objects.get().correlation_id == "cor-test"


def test_an_unknown_character_is_404(api: APIClient) -> None:
    response = post(api, "char-00000000")
    assert response.status_code == 404
    assert response.json() == {"detail": "Character char-00000000 not found", "code": "not_found"}


def test_no_photos_is_400_and_says_images(api: APIClient, db: None) -> None:
    response = post(api, make_character(photos=0).public_id)
    assert response.status_code == 400 and response.json()["code"] == "no_images"
    assert response.json()["detail"].startswith("No training images uploaded for this character")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"steps": 50}, "bad_param"),
        ({"lora_rank": 5}, "bad_param"),
        ({"nonsense": 1}, "bad_param"),
        ({"optimizer": "lion"}, "bad_param"),
        ({"min_snr_gamma": 5}, "unsupported_param"),
        ({"learning_rate": 0.5}, "bad_param"),
        ({"warmup_steps": 300, "steps": 200}, "bad_param"),
        ({"method": "dora"}, "unsupported_method"),
    ],
)
def test_values_that_cannot_be_used_are_400_with_a_code(
    api: APIClient, character: Character, config: dict[str, Any], code: str
) -> None:
    response = post(api, character.public_id, config=config)
    assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    "body", [{}, {"character_id": "x", "config": 3}, {"character_id": "x", "config": {"steps": "many"}}]
)
def test_a_request_of_another_shape_is_422_with_a_list(api: APIClient, body: dict[str, Any]) -> None:
    response = api.post("/api/training", body)
    assert response.status_code == 422
    assert {"type", "loc", "msg"} <= set(response.json()["detail"][0])


def test_a_base_that_is_not_on_disk_is_503(api: APIClient, character: Character) -> None:
    response = post(api, character.public_id, base_model="flux-dev")
    assert (response.status_code, response.json()["code"]) == (503, "base_missing")


def test_a_second_training_of_the_character_is_refused(api: APIClient, character: Character) -> None:
    running = started(api, character)
    response = post(api, character.public_id)
    assert response.status_code == 400 and running["id"] in response.json()["detail"]


def test_the_sixth_start_within_a_minute_is_429(api: APIClient, character: Character) -> None:
    answers = [post(api, "char-00000000") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [404] * 5 + [429]
    assert answers[-1].json()["detail"]["retry_after"] > 0


def test_reading_is_never_throttled(api: APIClient, character: Character) -> None:
    assert {api.get("/api/training").status_code for _ in range(8)} == {200}


def ended(state: str, character: Character) -> TrainingRun:
    job = Job.objects.create(public_id=f"train-{Job.objects.count():012x}", kind="training", lane="gpu", state=state)
    return TrainingRun.objects.create(
        job=job, character=character, base="pocket", params={"steps": 100}, trigger_word="ohwx", photos=[]
    )


@pytest.fixture
def history(character: Character) -> list[str]:
    """Public ids: completed, failed, queued, oldest first; and one of somebody else."""
    ended("completed", make_character("Joon", "ohwxjoon", 0))
    return [ended(state, character).job.public_id for state in ("completed", "failed", "queued")]


def ids(response: Any) -> list[str]:
    assert response.status_code == 200
    return [job["id"] for job in response.json()]


def test_the_list_is_newest_first_and_filters(api: APIClient, character: Character, history: list[str]) -> None:
    mine = f"/api/training?character_id={character.public_id}"
    assert ids(api.get(mine)) == history[::-1]
    assert ids(api.get(f"{mine}&status=Failed,COMPLETED")) == [history[1], history[0]]
    assert ids(api.get(f"{mine}&limit=1")) == [history[2]]
    assert ids(api.get(f"{mine}&before={history[2]}")) == [history[1], history[0]]
    assert len(ids(api.get("/api/training"))) == 4


def test_successful_and_ongoing_are_not_mistaken_for_ids(
    api: APIClient, character: Character, history: list[str]
) -> None:
    assert ids(api.get(f"/api/training/successful?character_id={character.public_id}")) == [history[0]]
    assert ids(api.get("/api/training/ongoing")) == [history[2]]


def test_a_list_costs_the_same_queries_however_long_it_is(
    api: APIClient, history: list[str], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(2):
        api.get("/api/training")


def test_an_unknown_training_is_404(api: APIClient) -> None:
    response = api.get("/api/training/train-000000000000")
    assert (response.status_code, response.json()["detail"]) == (404, "Training job train-000000000000 not found")


def test_a_queued_training_is_cancelled_once(api: APIClient, character: Character) -> None:
    job = started(api, character)
    assert api.post(f"/api/training/{job['id']}/cancel").json()["status"] == "cancelled"
    again = api.post(f"/api/training/{job['id']}/cancel")
    assert (again.status_code, again.json()["detail"]) == (400, "Cannot cancel job in cancelled state")


def test_a_failed_training_says_why(api: APIClient, character: Character, history: list[str]) -> None:
    Job.objects.filter(public_id=history[1]).update(error_code="out_of_memory", error_message="Lower the resolution.")
    job = api.get(f"/api/training/{history[1]}").json()
    assert (job["error_message"], job["error_code"]) == ("Lower the resolution.", "out_of_memory")


def test_loras_are_listed_newest_first_with_their_fields(api: APIClient, character: Character) -> None:
    make_lora(character, 1, active=False)
    newest = make_lora(character, 2)
    answer = api.get("/api/loras").json()
    assert answer["total_count"] == 2 and answer["loras"][0]["id"] == newest.public_id
    expected = {"id", "name", "filename", "trigger_word", "size_bytes", "uploaded_at", "path"}
    assert expected <= set(answer["loras"][0]) and answer["loras"][0]["name"] == "Mira v2"


def test_a_lora_is_downloaded_under_its_own_name(api: APIClient, character: Character) -> None:
    lora = make_lora(character)
    response = api.get(api.get(f"/api/loras/{lora.public_id}").json()["path"])
    assert response.headers["Content-Disposition"] == f'attachment; filename="{lora.filename}"'
    assert response.getvalue() == storage.absolute(lora.file).read_bytes()


def test_a_lora_is_deleted_once(api: APIClient, character: Character) -> None:
    lora = make_lora(character)
    answer = api.delete(f"/api/loras/{lora.public_id}")
    assert answer.json() == {"status": "deleted", "id": lora.public_id}
    assert not Lora.objects.exists()
    assert api.delete(f"/api/loras/{lora.public_id}").status_code == 404


def test_the_stream_of_an_unknown_job_is_404(api: APIClient) -> None:
    assert api.get("/api/training/train-000000000000/stream").status_code == 404
