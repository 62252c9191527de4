"""Presets are values that the base's own parameters accept."""

import pytest

from isengard.engine import catalog, params
from training import presets


def built_in(base: str, key: str, photos: int) -> presets.Preset:
    found = presets.built_in(base, key, photos)
    assert found is not None
    return found


TRAINABLE = [key for key, base in catalog.BASES.items() if base.trainable]


@pytest.mark.parametrize("base", TRAINABLE)
@pytest.mark.parametrize("photos", [1, 12, 200])
def test_every_preset_is_accepted_by_its_base(base: str, photos: int) -> None:
    for preset in presets.presets_for(base, photos):
        cleaned = params.clean_all(catalog.training_params(base), preset.values)
        assert presets.label_of(base, preset, cleaned) == preset.key


@pytest.mark.parametrize("base", TRAINABLE)
def test_every_base_offers_the_same_four(base: str) -> None:
    assert [preset.key for preset in presets.presets_for(base, 10)] == ["quick", "balanced", "quality", "portrait"]


def test_pockets_portrait_is_the_recipe_that_its_identity_test_measures() -> None:
    recipe = params.clean_all(catalog.training_params("pocket"), {})
    values = built_in("pocket", presets.DEFAULT, 8).values
    cadence = {"sample_every_n_steps", "checkpoint_every_n_steps"}
    assert {name: recipe[name] for name in values if name not in cadence} == {"steps": values["steps"]}


@pytest.mark.parametrize(("photos", "steps"), [(5, 1200), (15, 1500), (60, 3000)])
def test_a_flux_portrait_takes_a_hundred_steps_a_photo_within_bounds(photos: int, steps: int) -> None:
    assert built_in("flux-dev", "portrait", photos).values["steps"] == steps


@pytest.mark.parametrize(("key", "steps"), [("quick", 500), ("balanced", 1000), ("quality", 2000), ("portrait", 1500)])
def test_before_anybody_is_chosen_flux_presets_are_those_for_usual_photos(key: str, steps: int) -> None:
    assert built_in("flux-dev", key, 0).values["steps"] == built_in("flux-dev", key, 15).values["steps"] == steps


@pytest.mark.parametrize("key", ["quick", "balanced", "quality", "portrait"])
def test_more_photos_never_mean_fewer_steps(key: str) -> None:
    steps = [built_in("flux-dev", key, photos).values["steps"] for photos in range(1, 120)]
    assert steps == sorted(steps) and steps[0] < steps[-1]


@pytest.mark.parametrize("base", TRAINABLE)
def test_every_preset_says_what_likeness_to_expect(base: str) -> None:
    assert all(preset.likeness for preset in presets.presets_for(base, 10))


def test_a_changed_value_makes_it_custom() -> None:
    quick = built_in("pocket", "quick", 10)
    assert presets.label_of("pocket", quick, {**quick.values, "steps": 300}) == "custom"
