"""Drawing a training's sample again: with which weights and words, when it is refused, and by Pocket: the same bits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from PIL import Image
from rest_framework.test import APIClient

from characters.models import Character
from generation import parity
from generation.models import Generation
from isengard import storage
from isengard.engine import recipe
from isengard.errors import Invalid, NotFound
from isengard.jobs import runner
from isengard.jobs.host import ENGINE_COMMAND, EngineHost
from tests.pages.rows import add_sample, trained
from tests.people import make_character
from training import repeating
from training.models import Checkpoint, Sample, TrainingRun

LOOK = {"steps": 12, "guidance_scale": 3.5, "guidance": "true_cfg", "width": 64, "height": 64, "model": "pocket"}


@pytest.fixture
def run(mira: Character) -> TrainingRun:
    return trained(mira, "completed")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    """The real engine."""
    host = EngineHost("gpu0", tmp_path / "gpu0.lock", {"OMP_NUM_THREADS": "1"}, command=ENGINE_COMMAND)
    yield host
    host.close()


def sample(run: TrainingRun, step: int, prompt: str = "a photo of ohwxmira") -> Sample:
    """As the engine stores it: with how it was drawn inside."""
    made = add_sample(run, step)
    Sample.objects.filter(pk=made.pk).update(prompt=prompt, seed=41)
    path = storage.absolute(made.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = recipe.png_text(recipe.Recipe(prompt=prompt, negative_prompt="", seed=41, **LOOK))
    Image.new("RGB", (64, 64)).save(path, pnginfo=text)
    return repeating.get_sample(run.job.public_id, step, 0)


def checkpoint(run: TrainingRun, step: int) -> Checkpoint:
    key = f"{storage.run_key(run.job.public_id)}/checkpoints/step-{step:06d}.safetensors"
    storage.absolute(key).parent.mkdir(parents=True, exist_ok=True)
    storage.absolute(key).write_bytes(b"weights")
    return Checkpoint.objects.create(run=run, step=step, file=key, size_bytes=7)


def test_a_sample_from_before_the_training_is_drawn_by_the_base(run: TrainingRun) -> None:
    again = parity.repeat(sample=sample(run, 0))
    assert (again.lora, again.more_loras, again.character) == (None, [], run.character)
    assert (again.params["seed"], again.params["steps"], again.params["guidance_scale"]) == (41, 12, 3.5)


def test_a_sample_in_between_wears_its_checkpoint_as_it_was_trained(run: TrainingRun) -> None:
    checkpoint(run, 500)
    worn = parity.repeat(sample=sample(run, 500)).more_loras
    assert [(one["id"], one["strength"]) for one in worn] == [(f"{run.job.public_id}@500", 1.0)]


@pytest.mark.parametrize("words", ["a photo of a woman", "a {red|blue} hat of ohwxmira", "__colour__"])
def test_the_words_stay_as_they_are(run: TrainingRun, words: str) -> None:
    checkpoint(run, 500)
    again = parity.repeat(sample=sample(run, 500, words))
    assert (again.prompt, again.variants, again.count) == (words, [], 1)


def test_a_step_without_a_checkpoint_is_refused_with_the_reason(run: TrainingRun) -> None:
    with pytest.raises(Invalid, match="step 300 were not kept"):
        parity.repeat(sample=sample(run, 300))


def test_a_checkpoint_that_made_room_counts_no_more(run: TrainingRun) -> None:
    saved = checkpoint(run, 500)
    assert repeating.kept_steps(run) == {0, 500}
    Checkpoint.objects.filter(pk=saved.pk).update(deleted_because="made room")
    assert repeating.kept_steps(run) == {0}


def test_the_first_sample_of_a_warm_start_is_nobody_elses_base(run: TrainingRun) -> None:
    TrainingRun.objects.filter(pk=run.pk).update(start=TrainingRun.Start.WARM)
    with pytest.raises(Invalid, match="not kept"):
        parity.repeat(sample=sample(TrainingRun.objects.get(pk=run.pk), 0))


def test_a_sample_whose_file_is_gone_cannot_be_repeated(run: TrainingRun) -> None:
    with pytest.raises(NotFound, match="how it was drawn"):
        parity.repeat(sample=add_sample(run, 0))


def test_the_page_goes_to_the_new_pictures(client: Client, run: TrainingRun) -> None:
    sample(run, 0)
    asked = {"job": run.job.public_id, "step": "0", "prompt_index": "0"}
    response = client.post("/generate/sample", asked)
    assert response.headers["Location"] == Generation.objects.get().get_absolute_url()


def test_the_page_refuses_nonsense(client: Client, run: TrainingRun) -> None:
    asked = {"job": run.job.public_id, "step": "-1", "prompt_index": "x" * 5000}
    assert client.post("/generate/sample", asked).status_code == 400


def test_the_samples_page_offers_it_where_the_weights_were_kept(client: Client, run: TrainingRun) -> None:
    for step in (0, 300):
        sample(run, step)
    url = f"/training/{run.job.public_id}/samples"
    assert "repeat-sample" in client.get(url, {"right": "0"}).content.decode()
    assert "were not kept" in client.get(url, {"right": "300"}).content.decode()


def test_the_api_answers_with_the_new_job(api: APIClient, run: TrainingRun) -> None:
    sample(run, 0)
    body = {"job_id": run.job.public_id, "step": 0}
    assert api.post("/api/generation/from-sample", body).status_code == 201
    assert api.post("/api/generation/from-sample", {**body, "step": 7}).status_code == 404


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_pocket_draws_a_sample_again_to_the_last_bit(api: APIClient, volume: Path, host: EngineHost) -> None:
    small = {"steps": 100, "lora_rank": 4, "batch_size": 1, "resolution": 64, "class_images": 0, "sample_count": 1}
    config = {**small, "sample_every_n_steps": 50, "checkpoint_every_n_steps": 50, "lora_alpha": 3.0}
    asked = {"character_id": make_character().public_id, "config": config}
    job = api.post("/api/training", asked).json()["id"]
    runner.run_lane("gpu", "test/0", host)
    for step in (0, 50, 100):
        again = api.post("/api/generation/from-sample", {"job_id": job, "step": step}).json()
        runner.run_lane("gpu", "test/0", host)
        output = storage.absolute(api.get(f"/api/generation/{again['id']}").json()["output_files"][0])
        assert pixels(output) == pixels(storage.absolute(repeating.get_sample(job, step, 0).file)), step


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()
