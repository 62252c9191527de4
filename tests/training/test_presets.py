"""Presets are values that the base's own parameters accept."""

import pytest

from isengard.engine import catalog, params
from isengard.errors import Invalid
from training import presets

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
    values = presets.named("pocket", presets.DEFAULT, 8).values
    cadence = {"sample_every_n_steps", "checkpoint_every_n_steps"}
    assert {name: recipe[name] for name in values if name not in cadence} == {"steps": values["steps"]}


@pytest.mark.parametrize(("photos", "steps"), [(5, 1200), (15, 1500), (60, 3000)])
def test_a_flux_portrait_takes_a_hundred_steps_a_photo_within_bounds(photos: int, steps: int) -> None:
    assert presets.named("flux-dev", "portrait", photos).values["steps"] == steps


def test_a_changed_value_makes_it_custom() -> None:
    quick = presets.named("pocket", "quick", 10)
    assert presets.label_of("pocket", quick, {**quick.values, "steps": 300}) == "custom"


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Invalid, match="quick, balanced"):
        presets.named("pocket", "turbo", 10)
