"""Asking for pictures: what is frozen, and every way it is refused."""

from pathlib import Path
from typing import Any

import pytest

from characters.models import Character
from generation import services
from generation.models import Generation
from isengard import storage
from isengard.errors import DomainError, Invalid, Unavailable
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from tests.people import make_lora
from training.services import delete_lora


def refused(**asked: Any) -> str:
    """The code of the refusal, after checking that nothing was left behind."""
    with pytest.raises(DomainError) as caught:
        services.start_generation(**asked)
    assert not Generation.objects.exists() and not Job.objects.exists()
    return caught.value.code


def test_pictures_of_a_character_use_its_active_lora(mira: Character) -> None:
    make_lora(mira, 1, active=False)
    active = make_lora(mira, 2)
    made = services.start_generation(prompt="smiling", character=mira)
    assert (made.lora, made.base, made.prompt) == (active, "pocket", "ohwxmira, smiling")


def test_a_prompt_without_a_lora_stays_as_it_was_written(mira: Character, volume: Path) -> None:
    made = services.start_generation(prompt=" a woman ")
    assert (made.prompt, made.lora, made.character) == ("a woman", None, None)


def test_the_random_seed_is_a_number_from_the_start(db: None, volume: Path) -> None:
    seeds = {services.start_generation(prompt="a woman").params["seed"] for _ in range(3)}
    assert len(seeds) == 3 and all(0 <= seed < 2**31 for seed in seeds)


def test_each_picture_has_the_next_seed_and_the_last_number_is_followed_by_zero(db: None, volume: Path) -> None:
    assert services.start_generation(prompt="a woman", seed=7, count=3).seeds == (7, 8, 9)
    assert services.start_generation(prompt="a woman", seed=2**31 - 1, count=2).seeds == (2**31 - 1, 0)


def test_seed_zero_is_a_seed(db: None, volume: Path) -> None:
    assert services.start_generation(prompt="a woman", seed=0).params["seed"] == 0


def test_strength_zero_stays_zero(mira: Character) -> None:
    make_lora(mira)
    assert services.start_generation(prompt="smiling", character=mira, strength=0).params["lora_strength"] == 0


@pytest.mark.parametrize("count", [0, 9])
def test_counts_outside_one_to_eight_are_refused(db: None, volume: Path, count: int) -> None:
    assert refused(prompt="a woman", count=count) == "bad_param"


@pytest.mark.parametrize(("prompt", "code"), [("", "no_prompt"), ("  ", "no_prompt"), ("x" * 2001, "long_prompt")])
def test_empty_and_endless_prompts_are_refused(db: None, volume: Path, prompt: str, code: str) -> None:
    assert refused(prompt=prompt) == code


def test_the_longest_prompt_is_accepted(db: None, volume: Path) -> None:
    assert services.start_generation(prompt="x" * 2000).job.state == Job.State.QUEUED


@pytest.mark.parametrize("values", [{"width": 4096}, {"steps": 0}, {"height": "tall"}, {"sampler": "x"}, {"seed": -1}])
def test_impossible_values_are_refused(db: None, volume: Path, values: dict[str, Any]) -> None:
    seed = values.pop("seed", None)
    assert refused(prompt="a woman", values=values, seed=seed) == "bad_param"


def test_a_size_between_the_multiples_is_refused_with_its_neighbours(db: None, volume: Path) -> None:
    with pytest.raises(Invalid, match="64 or 72"):
        services.start_generation(prompt="a woman", values={"width": 68})


def test_a_feature_that_is_not_there_is_refused_with_the_reason(db: None, volume: Path) -> None:
    with pytest.raises(Invalid, match="face_refine") as caught:
        services.start_generation(prompt="a woman", values={"use_facedetailer": True})
    assert caught.value.code == "unsupported_param"


def test_a_feature_that_is_not_there_may_be_off(db: None, volume: Path) -> None:
    assert services.start_generation(prompt="a woman", values={"use_facedetailer": False}).count == 1


def test_an_untrained_character_is_refused(mira: Character) -> None:
    assert refused(prompt="smiling", character=mira) == "not_trained"


def test_a_lora_of_another_base_is_refused_naming_both(mira: Character) -> None:
    lora = make_lora(mira, base="flux-dev")
    with pytest.raises(Invalid, match=r"FLUX\.1-dev.*Pocket") as caught:
        services.start_generation(prompt="smiling", lora=lora, base="pocket")
    assert caught.value.code == "wrong_base"


def test_a_lora_without_its_file_is_refused(mira: Character) -> None:
    storage.remove(make_lora(mira).file)
    assert refused(prompt="smiling", character=mira) == "lora_missing"


def test_a_base_that_is_not_on_disk_is_refused(db: None, volume: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        services.start_generation(prompt="a woman", base="flux-dev")
    assert caught.value.code == "base_missing"


def test_a_full_disk_is_refused(db: None, volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "free_bytes", lambda: 1000)
    assert refused(prompt="a woman") == "disk_full"


def test_a_placeholder_without_a_character_is_refused(db: None, volume: Path) -> None:
    assert refused(prompt="a photo of {trigger_word}") == "no_trigger"


def test_a_retry_asks_for_the_same_seeds(mira: Character) -> None:
    make_lora(mira)
    first = services.start_generation(prompt="smiling", character=mira, count=2)
    jobs.request_cancel(job=first.job)
    second = jobs.retry(job=Job.objects.get(pk=first.job_id)).generation
    assert (second.seeds, second.prompt, second.lora) == (first.seeds, first.prompt, first.lora)


def test_a_retry_whose_lora_was_deleted_is_refused(mira: Character) -> None:
    lora = make_lora(mira)
    first = services.start_generation(prompt="smiling", character=mira)
    jobs.request_cancel(job=first.job)
    delete_lora(lora=lora)
    with pytest.raises(Invalid, match="Mira v1"):
        jobs.retry(job=Job.objects.get(pk=first.job_id))
