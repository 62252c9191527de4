"""The JSON API of pictures: paths, fields, codes, statuses, and the files themselves."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from characters.models import Character
from generation.models import Generation, Output
from isengard import storage
from isengard.engine import offers
from isengard.jobs.models import Job
from tests.people import make_lora
from tests.pictures import encoded, picture


def post(api: APIClient, count: int | None = None, **config: Any) -> Any:
    body = {"config": {"prompt": "a woman", **config}}
    return api.post("/api/generation", body if count is None else {**body, "count": count})


def started(api: APIClient, **asked: Any) -> dict[str, Any]:
    response = post(api, **asked)
    assert response.status_code == 201, response.content
    return response.json()


def test_pictures_start_queued_with_every_field(api: APIClient) -> None:
    job = started(api, count=2, seed=7)
    fields = {"id", "status", "config", "progress", "error_message", "created_at", "started_at", "completed_at"}
    assert set(job) >= fields | {"output_paths"}
    assert (job["status"], job["count"], job["output_paths"]) == ("queued", 2, [])
    assert (job["config"]["seed"], job["config"]["width"], job["base_model"]) == (7, 96, "pocket")


def test_a_characters_id_means_its_active_lora(api: APIClient, mira: Character) -> None:
    lora = make_lora(mira)
    job = started(api, lora_id=mira.public_id, lora_strength=0.8)
    assert (job["config"]["lora_id"], job["config"]["lora_strength"]) == (lora.public_id, 0.8)
    assert job["config"]["prompt"] == "ohwxmira, a woman" and job["character_id"] == mira.public_id


def test_a_loras_id_means_that_version(api: APIClient, mira: Character) -> None:
    old = make_lora(mira, 1, active=False)
    make_lora(mira, 2)
    assert started(api, lora_id=old.public_id)["config"]["lora_id"] == old.public_id


def test_an_untrained_character_is_400(api: APIClient, mira: Character) -> None:
    response = post(api, lora_id=mira.public_id)
    assert (response.status_code, response.json()["code"]) == (400, "not_trained")
    assert f"Character {mira.public_id} has not been trained yet" in response.json()["detail"]


def test_an_unknown_character_is_404(api: APIClient) -> None:
    response = post(api, lora_id="char-00000000")
    assert (response.status_code, response.json()["detail"]) == (404, "Character LoRA char-00000000 not found")


@pytest.mark.parametrize("config", [{name: True} for name in offers.TOGGLES])
def test_a_feature_that_is_not_there_is_400_with_the_reason(api: APIClient, config: dict[str, Any]) -> None:
    response = post(api, **config)
    assert (response.status_code, response.json()["code"]) == (400, "unsupported_param")


def test_features_that_are_off_are_accepted_and_echoed(api: APIClient) -> None:
    assert started(api, use_controlnet=False)["config"]["use_controlnet"] is False


@pytest.mark.parametrize("config", [{"width": 4096}, {"steps": 0}, {"guidance_scale": 99}, {"sampler": "x"}])
def test_values_out_of_range_are_400(api: APIClient, config: dict[str, Any]) -> None:
    response = post(api, **config)
    assert (response.status_code, response.json()["code"]) == (400, "bad_param")


@pytest.mark.parametrize("asked", [{"prompt": ""}, {"prompt": "x" * 2001}, {"count": 9}, {"count": 0}, {"seed": "x"}])
def test_a_request_of_another_shape_is_422(api: APIClient, asked: dict[str, Any]) -> None:
    response = post(api, **asked)
    assert response.status_code == 422 and response.json()["detail"][0]["loc"]


def test_a_base_that_is_not_on_disk_is_503(api: APIClient) -> None:
    response = post(api, base_model="flux-dev")
    assert (response.status_code, response.json()["code"]) == (503, "base_missing")


def test_the_list_is_newest_first_and_limited(api: APIClient) -> None:
    made = [started(api)["id"] for _ in range(3)]
    assert [job["id"] for job in api.get("/api/generation?limit=2").json()] == [made[2], made[1]]
    older = api.get(f"/api/generation?before={made[1]}&status=queued").json()
    assert [job["id"] for job in older] == [made[0]]


def test_an_unknown_job_is_404(api: APIClient) -> None:
    response = api.get("/api/generation/gen-000000000000")
    assert (response.status_code, response.json()["detail"]) == (404, "Generation job gen-000000000000 not found")


def test_queued_pictures_are_cancelled_once(api: APIClient) -> None:
    job = started(api)["id"]
    assert api.post(f"/api/generation/{job}/cancel").json()["status"] == "cancelled"
    again = api.post(f"/api/generation/{job}/cancel")
    assert (again.status_code, again.json()["code"]) == (400, "already_ended")


@pytest.fixture
def output(api: APIClient) -> Output:
    generation = Generation.objects.get(job__public_id=started(api, seed=7)["id"])
    key = f"{storage.output_key(generation.job.public_id)}/00.png"
    path = storage.absolute(key)
    path.parent.mkdir(parents=True)
    path.write_bytes(encoded(picture(64, 64)))
    facts = {"seed": 7, "width": 64, "height": 64, "size_bytes": path.stat().st_size, "seconds": 1.0}
    return Output.objects.create(generation=generation, index=0, file=key, **facts)


def test_a_picture_is_shown_inline_for_good(api: APIClient, output: Output) -> None:
    job = api.get(f"/api/generation/{output.generation.job.public_id}").json()
    response = api.get(job["output_paths"][0])
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["Content-Disposition"].startswith("inline")
    assert "immutable" in response.headers["Cache-Control"]
    assert response.content == storage.absolute(job["output_files"][0]).read_bytes()


def test_a_picture_that_the_browser_has_is_not_sent_again(api: APIClient, output: Output) -> None:
    etag = api.get(output.url).headers["ETag"]
    assert api.get(output.url, headers={"If-None-Match": etag}).status_code == 304


def test_a_download_is_named_by_job_and_seed(api: APIClient, output: Output) -> None:
    disposition = api.get(f"{output.url}?download=1").headers["Content-Disposition"]
    assert disposition == f'attachment; filename="{output.generation.job.public_id}-00-seed7.png"'


def test_a_thumbnail_that_is_not_there_yet_is_made_for_whoever_asks(api: APIClient, output: Output) -> None:
    assert api.get(output.thumb_url).headers["Content-Type"] == "image/webp"
    assert storage.absolute(output.thumb).is_file()


def test_a_picture_whose_file_is_lost_has_no_thumbnail(api: APIClient, output: Output) -> None:
    storage.absolute(output.file).unlink()
    assert api.get(output.thumb_url).status_code == 404


def test_a_deleted_picture_is_gone_and_comes_back(api: APIClient, output: Output) -> None:
    gone = api.delete(output.url)
    assert (gone.status_code, gone.json()["count"], api.get(output.url).status_code) == (200, 1, 404)
    assert api.post("/api/outputs/undo", {"undo": gone.json()["undo"]}).json() == {"count": 1}
    assert api.get(output.url).status_code == 200


def test_a_picture_deleted_for_good_never_comes_back(api: APIClient, output: Output, volume: Path) -> None:
    assert api.delete(f"{output.url}?for_good=1").status_code == 204
    assert not Output.everything.exists()


def test_a_preview_is_served_while_it_is_there_and_nothing_else_is(api: APIClient, output: Output) -> None:
    job = output.generation.job.public_id
    folder = storage.absolute(storage.output_key(job))
    (folder / "preview-00.jpg").write_bytes(b"jpeg")
    response = api.get(f"/api/generation/{job}/previews/preview-00.jpg")
    assert response.content == b"jpeg" and response.headers["Cache-Control"] == "no-cache"
    assert api.get(f"/api/generation/{job}/previews/00.png").status_code == 404


def test_a_preview_that_is_gone_leads_to_the_picture_that_came_of_it(api: APIClient, output: Output) -> None:
    previews = f"/api/generation/{output.generation.job.public_id}/previews"
    response = api.get(f"{previews}/preview-{output.index:02d}.jpg")
    assert response.status_code == 302 and response.headers["Location"] == output.thumb_url


def test_the_last_question_for_a_preview_of_a_cancelled_picture_is_no_error(api: APIClient, output: Output) -> None:
    gone = api.get(f"/api/generation/{output.generation.job.public_id}/previews/preview-77.jpg")
    assert (gone.status_code, gone.content) == (204, b"")


def test_a_partial_result_says_so(api: APIClient, output: Output) -> None:
    Job.objects.update(state="completed", result={"message": "1 of 2 pictures were made."})
    job = api.get(f"/api/generation/{output.generation.job.public_id}").json()
    assert (job["status"], job["progress"], job["message"]) == ("completed", 100, "1 of 2 pictures were made.")


def test_the_stream_of_an_unknown_job_is_404(api: APIClient) -> None:
    assert api.get("/api/generation/gen-000000000000/stream").status_code == 404
