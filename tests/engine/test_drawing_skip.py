"""Pictures of a job that are not wanted any more: those that wait are not drawn, the one that is drawn ends early."""

from collections.abc import Callable
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from isengard.engine import sampling
from isengard.engine.pipelines import Registry
from isengard.engine.specs import GenerateSpec
from tests.engine.conftest import Events

Draw = Callable[..., GenerateSpec]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry("cpu")


def draw(spec: GenerateSpec, registry: Registry, events: Events, *said: set[str]) -> list[int]:
    """Which pictures come of it when these wishes are heard, one set after each step."""
    heard = iter(said)
    result = sampling.generate(spec, events, lambda: False, registry, lambda: next(heard, set()))
    assert not result["stopped"]
    return [output["index"] for output in result["outputs"]]


def test_a_picture_that_waits_is_not_drawn_and_not_expected(
    generate_spec: Draw, registry: Registry, events: Events
) -> None:
    assert draw(generate_spec(seeds=(1, 2, 3)), registry, events, {"skip:1"}) == [0, 2]
    assert events.of("progress")[-1]["step"] == events.of("progress")[-1]["total"] == 6


def test_the_picture_that_is_drawn_ends_after_its_step_and_the_next_begins(
    generate_spec: Draw, registry: Registry, events: Events
) -> None:
    assert draw(generate_spec(seeds=(1, 2)), registry, events, set(), set(), set(), {"skip:0"}) == [1]
    assert events.of("progress")[-1]["step"] == events.of("progress")[-1]["total"] == 1 + 3
    assert not events.of("log")


def test_pictures_that_are_to_be_skipped_from_the_start_are_not_expected(
    generate_spec: Draw, registry: Registry, events: Events
) -> None:
    assert draw(replace(generate_spec(seeds=(1, 2, 3)), skip=(0, 2)), registry, events) == [1]
    assert {told["total"] for told in events.of("progress")} == {3}


def test_a_picture_that_is_done_stays_whatever_is_said_later(
    generate_spec: Draw, registry: Registry, events: Events
) -> None:
    said = [set()] * 6 + [{"skip:0", "skip:99"}]
    assert draw(generate_spec(seeds=(1, 2)), registry, events, *said) == [0, 1]


def test_what_is_drawn_beside_a_skipped_picture_is_the_same_to_the_bit(
    generate_spec: Draw, registry: Registry, events: Events
) -> None:
    both, one = generate_spec("both", seeds=(1, 2)), generate_spec("one", seeds=(2,))
    draw(both, registry, events, set(), {"skip:0"})
    draw(one, registry, Events())
    # Only the name of the file says which of the request it was.
    assert _pixels(both, 1) == _pixels(one, 0)


def _pixels(spec: GenerateSpec, index: int) -> bytes:
    from PIL import Image

    with Image.open(f"{spec.out_dir}/{index:02d}.png") as image:
        return image.tobytes()
