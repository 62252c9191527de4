"""Presets that people save: what is kept, under which names, and that a training can be started with them."""

from typing import Any

import pytest

from characters.models import Character
from isengard.errors import Conflict, Invalid
from training import services, user_presets
from training.models import UserPreset

pytestmark = pytest.mark.django_db


def save(name: str = "My look", **values: Any) -> UserPreset:
    params = services.training_params("pocket", values)
    return user_presets.save(base="pocket", name=name, params=params)


def test_only_what_differs_from_the_base_is_kept_and_no_prompts() -> None:
    kept = save(steps=450, seed=42, sample_prompts=["a photo"])
    assert kept.values == {"steps": 450}


def test_a_training_takes_the_values_and_the_name(mira: Character) -> None:
    save(steps=450, lora_rank=8)
    run = services.start_training(character=mira, preset="My look", base="pocket", values={})
    assert (run.preset, run.params["steps"], run.params["lora_rank"]) == ("My look", 450, 8)


def test_a_preset_belongs_to_one_base() -> None:
    save()
    with pytest.raises(Invalid, match="no preset called 'My look'"):
        user_presets.named("flux-dev", "My look", 10)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    save()
    with pytest.raises(Invalid, match="quick, balanced, quality, portrait, My look"):
        user_presets.named("pocket", "turbo", 10)


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "quick", "High  Quality", "Custom", "a\x00b"])
def test_a_name_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        save(name)


def test_a_name_is_used_once() -> None:
    save(steps=400)
    with pytest.raises(Conflict, match="Choose another name"):
        save(" My  look ", steps=500)
    assert UserPreset.objects.get().values == {"steps": 400}


def test_a_preset_can_be_renamed_but_not_onto_another() -> None:
    preset, _ = save(steps=400), save("Other")
    assert user_presets.rename(preset=preset, name="Mine").name == "Mine"
    with pytest.raises(Conflict):
        user_presets.rename(preset=preset, name="Other")


def test_knobs_that_are_gone_or_changed_since_are_passed_over() -> None:
    UserPreset.objects.create(base="pocket", name="Old", values={"steps": 400, "gone": 1, "lora_rank": 5})
    assert user_presets.named("pocket", "Old", 10).values == {"steps": 400}
