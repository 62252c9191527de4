"""Several LoRAs and checkpoints in one picture, and styles around the words."""

from pathlib import Path
from typing import Any

import pytest

from characters.models import Character
from generation import services, styles, wearing
from generation.handlers import GenerationHandler
from generation.models import Generation
from isengard import storage
from isengard.errors import DomainError, Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from tests.people import make_character, make_lora
from training import services as training
from training.models import Checkpoint
from training.services import delete_lora

HANDLER = GenerationHandler()


@pytest.fixture
def two(mira: Character) -> tuple[wearing.Worn, wearing.Worn]:
    joon = make_character("Joon", "ohwxjoon")
    return wearing.of_lora(make_lora(mira)), wearing.of_lora(make_lora(joon))


def checkpoint(character: Character, step: int = 50) -> Checkpoint:
    run = training.start_training(character=character, preset="balanced", base="pocket", values={})
    key = f"{storage.run_key(run.job.public_id)}/checkpoints/step-{step}.safetensors"
    path = storage.absolute(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"step")
    return Checkpoint.objects.create(run=run, step=step, file=key, size_bytes=4)


def test_each_trigger_stands_in_the_prompt_once(two: Any) -> None:
    first, second = two
    made = services.start_generation(prompt="smiling with ohwxjoon", worn=first, more=[(second, 0.5)])
    assert made.prompt == "ohwxmira, smiling with ohwxjoon"


def test_the_engine_wears_all_in_their_order(two: Any) -> None:
    first, second = two
    made = services.start_generation(prompt="smiling", worn=first, strength=0.7, more=[(second, 0.5)])
    worn = HANDLER.spec(made.job)["loras"]
    assert [lora["strength"] for lora in worn] == [0.7, 0.5] and worn[0]["path"] != worn[1]["path"]


def test_without_a_strength_a_lora_is_worn_as_usual(two: Any) -> None:
    made = services.start_generation(prompt="smiling", worn=two[0], more=[(two[1], None)])
    assert made.more_loras[0]["strength"] == 1.0


@pytest.mark.parametrize("strength", [100, -0.1, float("nan")])
def test_impossible_strengths_are_refused(two: Any, strength: float) -> None:
    with pytest.raises(Invalid) as caught:
        services.start_generation(prompt="smiling", worn=two[0], more=[(two[1], strength)])
    assert caught.value.code == "bad_param"


def test_one_lora_twice_is_refused(two: Any) -> None:
    with pytest.raises(Invalid) as caught:
        services.start_generation(prompt="smiling", worn=two[0], more=[(two[0], 0.5)])
    assert caught.value.code == "same_lora" and not Generation.objects.exists()


def test_a_further_lora_deleted_while_queued_is_named(two: Any) -> None:
    made = services.start_generation(prompt="smiling", worn=two[0], more=[(two[1], 0.5)])
    delete_lora(lora=two[1].lora)
    with pytest.raises(DomainError, match="Joon v1 was deleted"):
        HANDLER.spec(made.job)


def test_a_checkpoint_is_worn_like_a_lora(mira: Character) -> None:
    worn = wearing.of_checkpoint(checkpoint(mira))
    made = services.start_generation(prompt="smiling", worn=worn, strength=0.8)
    spec = HANDLER.spec(made.job)
    assert (made.prompt, made.character, made.more_loras[0]["id"]) == ("ohwxmira, smiling", mira, worn.key)
    assert spec["loras"][0]["path"].endswith("step-50.safetensors") and len(spec["loras"][0]["sha256"]) == 64


def test_a_checkpoint_that_was_thinned_out_is_refused(mira: Character) -> None:
    row = checkpoint(mira)
    made = services.start_generation(prompt="smiling", worn=wearing.of_checkpoint(row))
    Checkpoint.objects.update(deleted_because="newer ones are better")
    with pytest.raises(Invalid, match="Mira at step 50 was deleted"):
        HANDLER.spec(made.job)


@pytest.mark.parametrize("key", ["", "lora-x", "train-x@5", "train-x@", "@", "a@b@c", "train-x@" + "9" * 40])
def test_keys_that_mean_nothing_find_nothing(db: None, key: str) -> None:
    assert wearing.find(key) is None


def test_a_retry_keeps_everything(two: Any) -> None:
    first = services.start_generation(
        prompt="{a|b}", worn=two[0], more=[(two[1], 0.5)], count=2, styles=["Photo"], purpose="synthetic"
    )
    jobs.request_cancel(job=first.job)
    again = jobs.retry(job=Job.objects.get(pk=first.job_id)).generation
    assert all(getattr(again, name) == getattr(first, name) for name in services.COPIED)


def test_styles_stand_around_the_words(db: None, volume: Path) -> None:
    made = services.start_generation(prompt="a woman", styles=["Cinematic"], values={"negative_prompt": "hats"})
    assert made.prompt.startswith("cinematic still of a woman,")
    assert made.params["negative_prompt"] == "hats, flat light" and made.written["prompt"] == "a woman"


def test_a_style_of_ones_own_comes_first_and_can_be_deleted(db: None) -> None:
    styles.keep(name=" Foggy  day ", text="fog")
    assert (styles.every()[0].name, styles.every()[0].text) == ("Foggy day", "{prompt}, fog")
    styles.delete(name="Foggy day")
    assert not any(style.own for style in styles.every())


@pytest.mark.parametrize("given", [{"name": ""}, {"name": "x" * 41}, {"text": " "}, {"text": "x" * 1001}])
def test_styles_without_name_or_words_are_refused(db: None, given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        styles.keep(**{"name": "Fog", "text": "fog", **given})


def test_a_style_that_is_gone_is_refused(db: None, volume: Path) -> None:
    with pytest.raises(Invalid, match="deleted"):
        services.start_generation(prompt="a woman", styles=["Fog"])


def test_all_requests_are_cancelled_at_once(db: None, volume: Path) -> None:
    services.start_generation(prompt="a woman", batches=3)
    assert services.cancel_all() == 3 and not services.is_busy()
