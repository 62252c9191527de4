"""Ratios and qualities as exact sizes and steps."""

from pathlib import Path

import pytest

from generation import services, shapes
from isengard.engine import catalog
from isengard.errors import Invalid

FLUX, POCKET = catalog.get("flux-dev"), catalog.get("pocket")


@pytest.mark.parametrize("tier", ["draft", "standard", "high"])
def test_seven_ratios_in_multiples_of_sixteen_near_their_names(tier: str) -> None:
    offered = shapes.shapes_for(FLUX, tier)
    for shape in offered:
        across, down = (int(part) for part in shape.ratio.split(":"))
        assert shape.width % 16 == shape.height % 16 == 0
        assert abs(shape.width / shape.height / (across / down) - 1) < 0.05
    assert len(offered) == 7


def test_qualities_change_size_and_steps() -> None:
    sizes = [shapes.size_of(FLUX, "1:1", one.key).width for one in shapes.QUALITIES]
    assert sizes == [768, 1024, 1280] and [shapes.steps_of(FLUX, one.key) for one in shapes.QUALITIES] == [17, 28, 42]


def test_pocket_stays_within_what_it_learned() -> None:
    assert [shapes.size_of(POCKET, "1:1", one.key).width for one in shapes.QUALITIES] == [64, 96, 96]


def test_every_size_is_found_again() -> None:
    for one in shapes.QUALITIES:
        for shape in shapes.shapes_for(FLUX, one.key):
            assert shapes.found(FLUX, shape.width, shape.height) == (shape.ratio, one.key)


def test_a_named_shape_and_quality_become_numbers(db: None, volume: Path) -> None:
    params = services.start_generation(prompt="a hat", aspect_ratio="1:1", quality="draft").params
    assert (params["width"], params["height"], params["steps"]) == (64, 64, 12)


def test_steps_given_by_number_count_more_than_the_quality(db: None, volume: Path) -> None:
    assert services.start_generation(prompt="a hat", quality="high", values={"steps": 5}).params["steps"] == 5


@pytest.mark.parametrize("asked", [{"aspect_ratio": "3:4"}, {"aspect_ratio": "1:1", "quality": "best"}])
def test_shapes_that_the_base_does_not_draw_are_refused(db: None, volume: Path, asked: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught:
        services.start_generation(prompt="a hat", **asked)
    assert caught.value.code == "bad_param"
