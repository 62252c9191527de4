"""What one picture of a job has of its own: prompt, LoRAs, knobs; and that one that fails takes no other with it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from PIL import Image

from isengard.engine import recipe, sampling
from isengard.engine.pipelines import Registry
from isengard.engine.specs import GenerateSpec, LoraRef, Variant
from tests.engine.conftest import Events

Draw = Callable[..., GenerateSpec]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry("cpu")


def two(spec: GenerateSpec, *variants: Variant) -> GenerateSpec:
    return replace(spec, seeds=(1,) * len(variants), variants=variants)


def outputs(spec: GenerateSpec, registry: Registry, events: Events) -> list[bytes]:
    made = sampling.generate(spec, events, lambda: False, registry)["outputs"]
    return [Image.open(output["path"]).tobytes() for output in made]


def test_a_variant_is_the_picture_that_a_request_of_its_own_would_be(
    generate_spec: Draw, registry: Registry, loras: tuple[LoraRef, LoraRef], events: Events
) -> None:
    plain, own = generate_spec(), {"steps": 4, "guidance_scale": 2.0}
    varied = two(plain, Variant(), Variant("a green dog", loras[:1], own))
    alone = replace(
        plain, prompt="a green dog", loras=loras[:1], params={**plain.params, **own}, out_dir=plain.out_dir + "-2"
    )
    pictures = outputs(varied, registry, events)
    assert [pictures[1]] == outputs(alone, registry, Events()) and pictures[0] != pictures[1]
    assert events.of("progress")[-1]["total"] == 7


def test_each_variant_has_its_own_recipe(
    generate_spec: Draw, registry: Registry, loras: tuple[LoraRef, LoraRef]
) -> None:
    varied = two(replace(generate_spec(), loras=loras[:1]), Variant("one"), Variant("two", ()))
    outputs(varied, registry, Events())
    told = [recipe.read_png(Path(varied.out_dir) / f"0{index}.png") or {} for index in (0, 1)]
    assert [(one["prompt"], len(one["loras"])) for one in told] == [("one", 1), ("two", 0)]


def test_a_picture_that_cannot_be_made_does_not_take_the_others_with_it(
    generate_spec: Draw, registry: Registry, events: Events
) -> None:
    gone = LoraRef("/nowhere/gone.safetensors", "b" * 64, 1.0)
    pictures = outputs(two(generate_spec(), Variant(loras=(gone,)), Variant()), registry, events)
    assert len(pictures) == 1 and events.of("output")[0]["index"] == 1
    assert events.of("log")[0]["fields"]["index"] == 0
