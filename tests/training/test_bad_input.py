"""What people get wrong when they start a training, in the form and over the API; and what may go while it waits."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from characters.models import Character
from isengard import storage
from isengard.engine import catalog
from isengard.engine.errors import EngineError
from isengard.errors import Unavailable
from isengard.jobs import runner
from isengard.jobs.models import Job
from training import fixes, services
from training.handlers import TrainingHandler, sample_prompts
from training.models import TrainingRun

START = reverse("training:start")
WRONG = [
    ("steps", 0, "at least 100"),
    ("steps", 10**9, "at most 5000"),
    ("lora_rank", 3, "one of 4, 8, 16"),
    ("learning_rate", 10, "at most 1"),
    ("learning_rate", 0.5, "at most 0.01"),
    ("warmup_steps", 400, "only 300 steps"),
]


@pytest.fixture
def queued(mira: Character) -> TrainingRun:
    return services.start_training(character=mira, preset="quick", base="pocket", values={})


def started(character: Character, **values: Any) -> dict[str, Any]:
    return {"character": character.public_id, "base": "pocket", "preset": "portrait", "steps": 300, **values}


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_the_api_says_which_values_are_possible(
    api: APIClient, mira: Character, name: str, value: Any, words: str
) -> None:
    answer = api.post("/api/training", {"character_id": mira.public_id, "config": {name: value}})
    assert answer.status_code == 400 and not Job.objects.exists()
    assert name in answer.json()["detail"] and words in answer.json()["detail"]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_the_form_keeps_what_was_typed_beside_the_reason(
    client: Client, mira: Character, name: str, value: Any, words: str
) -> None:
    answer = client.post(START, started(mira, seed=77, **{name: value}))
    assert answer.status_code == 422 and not Job.objects.exists()
    assert answer.context["form"].errors and 'value="77"' in answer.content.decode()


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_the_plan_says_it_before_the_button_is_pressed(
    client: Client, mira: Character, name: str, value: Any, words: str
) -> None:
    page = client.get(reverse("training:plan"), started(mira, **{name: value})).content.decode()
    assert 'data-testid="error"' in page and "plan-time" not in page


def test_the_pages_call_a_setting_as_its_label_does(client: Client, mira: Character) -> None:
    asked = started(mira, warmup_steps=400)
    page = client.get(reverse("training:plan"), asked).content.decode()
    form = client.post(START, asked).context["form"]
    assert "Warm-up is 400" in page and "warmup_steps is" not in page
    assert form.errors["warmup_steps"][0].startswith("Warm-up is 400")


def test_a_number_with_a_space_behind_it_is_that_number(api: APIClient, client: Client, mira: Character) -> None:
    answer = api.post("/api/training", {"character_id": mira.public_id, "config": {"learning_rate": "1e-4 "}})
    assert answer.json()["config"]["learning_rate"] == 1e-4
    client.post(START, started(mira, learning_rate="2e-4 "))
    assert TrainingRun.objects.latest("pk").params["learning_rate"] == 2e-4


def test_empty_prompt_lines_are_no_prompts(client: Client, mira: Character) -> None:
    client.post(START, started(mira, sample_prompts="a photo of {trigger_word}\n\n   \n", sample_count=2))
    run = TrainingRun.objects.get()
    assert run.params["sample_prompts"] == ["a photo of {trigger_word}"] and all(sample_prompts(run))


def test_photos_deleted_while_it_waits_are_trained_on_all_the_same(queued: TrainingRun, mira: Character) -> None:
    for image in mira.images.all():
        storage.remove(image.file)
    mira.images.all().delete()
    images = TrainingHandler().spec(queued.job)["images"]
    assert len(images) == 3 and all(Path(image["path"]).is_file() for image in images)


def test_a_base_removed_while_it_waits_fails_with_what_to_do_and_loses_nothing(
    queued: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(key: str, models_dir: object) -> None:
        raise EngineError("base_missing", "Pocket's weights are not in this copy of the studio.")

    monkeypatch.setattr(catalog, "locate", gone)
    with pytest.raises(Unavailable) as caught:
        TrainingHandler().spec(queued.job)
    assert runner.Failure.of(caught.value).code == "base_missing" and fixes.CAUSES["base_missing"]
    assert all(storage.absolute(photo["file"]).is_file() for photo in queued.photos)


def test_a_gated_base_says_how_it_is_got() -> None:
    text = catalog.why_missing("flux-dev", Path("/nowhere"))
    assert "accept" in text and "token" in text and "FLUX.1-dev" in text
