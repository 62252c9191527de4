"""Failed trainings: every reason has a cause, and what is offered for it can be started."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from characters.models import Character
from isengard import engine
from isengard.errors import Conflict, Invalid
from isengard.jobs import host, runner
from isengard.jobs.models import Job
from tests.people import add_photo
from training import fixes, services
from training.models import TrainingRun

# Codes of other work than training: archives, captions, examining photos, drawing with a LoRA.
ELSEWHERE = {"archive_gone", "bad_command", "captioner_broken", "captioner_missing", "no_picture"}
DRAWING = {
    "guide_missing",
    "guide_unreadable",
    "input_missing",
    "input_unreadable",
    "mask_empty",
    "mask_shape",
    "no_face",
    "no_two_faces",
    "picture_not_finite",
    "source_too_small",
    "two_loras_needed",
    "unknown_sampler",
    "unknown_speed",
    "unknown_tool",
    "upscaler_unusable",
}
LIBRARY = {"lora_other_base", "lora_other_family", "lora_other_method", "lora_unknown_keys", "lora_wrong_shapes"}
CODE = re.compile(r'(?:EngineError|EngineFailed|Failure)\(\s*"([a-z_]+)"')


def failed(character: Character, code: str, base: str = "pocket", **values: Any) -> TrainingRun:
    run = services.start_training(character=character, preset="quick", base=base, values=values)
    Job.objects.filter(pk=run.job_id).update(state="failed", error_code=code, error_message="It failed.")
    return TrainingRun.objects.select_related("job", "character").get(pk=run.pk)


def offered(run: TrainingRun) -> dict[str, dict[str, Any]]:
    failure = fixes.of(run)
    return {offer.key: offer.values for offer in failure.offers} if failure else {}


def test_every_code_that_can_end_a_training_has_a_cause() -> None:
    root = Path(str(engine.__file__)).parent
    files = [*root.rglob("*.py"), Path(host.__file__), Path(runner.__file__)]
    codes = {code for file in files if "pocket" not in file.parts for code in CODE.findall(file.read_text())}
    assert len(codes) > 20 and codes - ELSEWHERE - DRAWING - LIBRARY <= set(fixes.CAUSES)


def test_a_run_that_did_not_fail_has_nothing_to_mend(mira: Character) -> None:
    run = services.start_training(character=mira, preset="quick", base="pocket", values={})
    assert fixes.of(run) is None


def test_out_of_memory_offers_less_of_it_the_mildest_first(mira: Character) -> None:
    run = failed(mira, "out_of_memory", batch_size=4, resolution=96)
    assert list(offered(run)) == ["recompute", "batch", "resolution"]
    assert offered(run)["batch"] == {"batch_size": 2, "gradient_accumulation": 2}


def test_what_is_at_its_least_already_is_not_offered(mira: Character) -> None:
    least: dict[str, Any] = {"gradient_checkpointing": "on", "batch_size": 1, "resolution": 64, "lora_rank": 4}
    assert offered(failed(mira, "out_of_memory", "pocket", **least)) == {}


def test_numbers_that_ran_away_offer_a_calmer_rate(mira: Character) -> None:
    run = failed(mira, "loss_not_finite", learning_rate=8e-3, warmup_steps=0)
    assert offered(run)["rate"] == {"learning_rate": 2e-3} and "warmup" in offered(run)


def test_a_base_that_knows_no_precision_is_offered_none(mira: Character) -> None:
    assert "precision" not in offered(failed(mira, "vae_not_finite"))


def test_a_full_disk_offers_fewer_files(mira: Character) -> None:
    assert offered(failed(mira, "disk_full"))["checkpoints"] == {"max_checkpoints": 1}


def test_an_offer_starts_the_same_training_with_the_change(mira: Character) -> None:
    run = failed(mira, "out_of_memory", batch_size=1, resolution=96)
    again = fixes.apply(run=run, key="resolution")
    assert again.params == {**run.params, "resolution": 64} and again.job.retry_of == run.job
    assert [photo["sha256"] for photo in again.photos] == [photo["sha256"] for photo in run.photos]


def test_every_offer_can_be_started(mira: Character) -> None:
    for code in ("out_of_memory", "loss_not_finite", "no_effect", "disk_full"):
        run = failed(mira, code, steps=150)
        for key in offered(run):
            again = fixes.apply(run=run, key=key)
            assert again.job.state == "queued" and again.params != run.params
            Job.objects.filter(pk=again.job_id).update(state="cancelled")


def test_a_damaged_photo_offers_those_of_now(mira: Character) -> None:
    run = failed(mira, "image_unreadable")
    add_photo(mira, 7)
    assert len(fixes.apply(run=run, key="photos").photos) == len(run.photos) + 1


def test_a_lora_that_cannot_be_begun_from_can_be_left_out(mira: Character) -> None:
    run = failed(mira, "first_loss_not_finite")
    TrainingRun.objects.update(start="warm")
    run.refresh_from_db()
    again = fixes.apply(run=run, key="fresh")
    assert (again.start, again.params) == ("fresh", run.params)


def test_what_would_fail_again_is_not_the_first_thing_to_press(client: Client, mira: Character) -> None:
    page = client.get(failed(mira, "loss_not_finite").get_absolute_url()).content.decode()
    assert re.findall(r'<button class="[^"]*btn-primary[^>]*value="(\w+)"', page) == ["rate"]
    assert '<button class="btn" id="train-again">' in page


def test_once_it_was_started_again_nothing_is_the_thing_to_press(client: Client, mira: Character) -> None:
    run = failed(mira, "loss_not_finite")
    fixes.apply(run=run, key="rate")
    page = client.get(run.get_absolute_url()).content.decode()
    assert "train-again" in page and not re.search(r'<button class="[^"]*btn-primary', page)


def test_what_is_not_offered_is_refused(mira: Character) -> None:
    with pytest.raises(Invalid, match="not offered"):
        fixes.apply(run=failed(mira, "gpu_busy"), key="resolution")


def test_a_running_training_cannot_be_tried_again(mira: Character) -> None:
    run = services.start_training(character=mira, preset="quick", base="pocket", values={})
    with pytest.raises(Conflict):
        fixes.retry(run=run, values={"seed": 7})


def test_the_page_offers_the_changes_as_buttons(client: Client, mira: Character) -> None:
    run = failed(mira, "out_of_memory", resolution=96)
    page = client.get(run.get_absolute_url()).content.decode()
    assert fixes.CAUSES["out_of_memory"] in page and 'value="resolution"' in page
    answer = client.post(reverse("training:fix", args=[run.job.public_id]), {"fix": "resolution"})
    assert answer.status_code == 302 and TrainingRun.objects.latest("pk").params["resolution"] == 64


def test_the_api_names_cause_and_offers_and_starts_one(api: APIClient, mira: Character) -> None:
    run = failed(mira, "loss_not_finite")
    address = f"/api/training/{run.job.public_id}"
    failure = api.get(f"{address}/failure").json()
    assert failure["cause"] and failure["offers"][0]["values"] == {"learning_rate": 5e-4}
    answer = api.post(f"{address}/retry", {"fix": "rate"})
    assert answer.status_code == 201 and answer.json()["config"]["learning_rate"] == 5e-4


def test_the_api_takes_changes_of_ones_own(api: APIClient, mira: Character) -> None:
    address = f"/api/training/{failed(mira, 'gpu_busy').job.public_id}/retry"
    assert api.post(address, {"config": {"seed": 7}}).json()["config"]["seed"] == 7
    assert api.post(address, {"fix": "rate", "config": {"seed": 7}}).json()["code"] == "fix_or_config"
