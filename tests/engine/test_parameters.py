"""Every declared knob does something: changing it, and nothing else, changes what the engine makes or says.

A knob that is declared and missing here fails the first test; one that nothing reads fails its own."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from isengard.engine import catalog, offers, parameters
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef, TrainImage, TrainSpec
from tests.engine.conftest import TRAIN_PARAMS, Events

USUAL = {**TRAIN_PARAMS, "steps": 4, "sample_every_n_steps": 2, "checkpoint_every_n_steps": 2, "caption_dropout": 0.0}
TRAINING: dict[str, Any] = {
    "steps": 3,
    "learning_rate": 1e-3,
    "lora_rank": 8,
    "lora_layers": "blocks and prompt",
    "resolution": 48,
    "batch_size": 1,
    "sample_every_n_steps": 1,
    "sample_count": 2,
    "sample_prompts": ("a drawing of ohwx", "ohwx"),
    "checkpoint_every_n_steps": 1,
    "max_checkpoints": 1,
    "seed": 8,
    "warmup_steps": 0,
    "gradient_accumulation": 2,
    "caption_dropout": 0.5,
    "class_images": 2,
    "lr_schedule": "linear",
    "preservation": 1.0,
    "masked_loss": 0.1,
    "precision": "bf16",
    "lora_alpha": 2.0,
    "steps_per_image": 1,
    "optimizer": "adafactor",
    "weight_decay": 0.5,
    "timestep_sampling": "uniform",
    "training_guidance": 4.0,
    "ema_decay": 0.9,
    "gradient_checkpointing": "on",
    "quantize": "int8",
}
# Knobs of more than two choices, each against the usual one.
CHOICES = [
    ("optimizer", "adamw8bit"),
    ("optimizer", "prodigy"),
    ("timestep_sampling", "shift"),
    ("lora_layers", "attention"),
    ("lr_schedule", "cosine"),
]
DRAWING: dict[str, Any] = {
    "width": 48,
    "height": 48,
    "steps": 4,
    "guidance_scale": 5.0,
    "negative_prompt": "a green hat",
    "seed": 2,
    "count": 2,
    "lora_strength": 0.5,
    "precision": "bf16",
    "quantize": "int8",
    "speed": "draft",
    "sampler": "heun",
}
# Progress comes by the clock, so it is left out.
KEPT = {"metric", "sample", "checkpoint"}
Trained = tuple[Any, ...]


@pytest.fixture(scope="module")
def train(
    tiny: BaseModel, photos: tuple[TrainImage, ...], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, Trained]]:
    """The finished LoRA of a short training, and all that can be seen of it: its bytes, its events, its checkpoints,
    how often a block was computed."""
    from isengard.engine.families import flux1_learning
    from isengard.engine.trainer import loop

    @lru_cache
    def run(name: str = "", value: Any = None) -> tuple[Path, Trained]:
        folder, events = tmp_path_factory.mktemp("run"), Events()
        prompts = value if name == "sample_prompts" else ("a photo of ohwx", "ohwx smiling")
        params = {**USUAL, **({} if name == "sample_prompts" else {name: value} if name else {})}
        spec = TrainSpec(
            "train-1", tiny, str(folder), str(folder / "cache"), photos, "ohwx", "woman", prompts, params
        )  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            computed = _counted(patch, flux1_learning)
            loop.train(spec, events, lambda: False)
        lora = folder / "lora.safetensors"
        heard = [(event["type"], event.get("step"), event.get("prompt")) for event in events if event["type"] in KEPT]
        kept = sorted(path.name for path in (folder / "checkpoints").iterdir())
        return lora, (_tensors(lora), heard, kept, len(computed))

    return run


def _counted(patch: pytest.MonkeyPatch, learning: Any) -> list[None]:
    """Grows by one whenever a single block computes."""
    single, computed = learning.single, list[None]()

    def counting(*given: Any) -> Any:
        computed.append(None)
        return single(*given)

    patch.setattr(learning, "single", counting)
    return computed


def _tensors(lora: Path) -> str:
    """The hash of the weights alone: the header names the parameters, whether or not anything read them."""
    data = lora.read_bytes()
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()


@pytest.fixture
def draw(
    tmp_path: Path, train: Callable[..., tuple[Path, Trained]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[GenerateSpec], list[bytes]]:
    from isengard.engine import sampling, speed
    from isengard.engine.families import pace
    from isengard.engine.pipelines import Registry

    # Random blocks change too much for the real threshold; compiling is another test's.
    monkeypatch.setitem(speed.SPEEDS, "draft", replace(speed.SPEEDS["draft"], cache=1e9))
    monkeypatch.setattr(pace, "BACKEND", "eager")

    def draw(spec: GenerateSpec) -> list[bytes]:
        outputs = sampling.generate(spec, Events(), lambda: False, Registry("cpu"))["outputs"]
        return [Image.open(output["path"]).tobytes() for output in outputs]

    return draw


def test_every_declared_knob_is_tried_here() -> None:
    training = {param.name for key in ("pocket", "flux-dev") for param in catalog.training_params(key)}
    drawing = {param.name for key in catalog.BASES for param in catalog.generation_params(key)}
    assert (set(TRAINING), set(DRAWING)) == (training, drawing)


@pytest.mark.parametrize("base", ["pocket", "flux-dev"])
def test_no_knob_is_both_there_and_refused(base: str) -> None:
    there = {param.name for param in catalog.training_params(base)}
    assert not there & set(offers.unwired_training(base))


def test_a_knob_that_only_other_bases_have_is_refused_with_the_reason() -> None:
    assert "no guidance input" in offers.unwired_training("pocket")["training_guidance"]
    assert "training_guidance" not in offers.unwired_training("flux-dev")


def test_every_knob_means_today_what_it_meant_before_it_existed() -> None:
    defaults = {param.name: param.default for param in catalog.training_params("flux-dev")}
    assert {name: defaults[name] for name in parameters.BEFORE} == parameters.BEFORE


@pytest.mark.integration
def test_the_same_training_twice_is_the_same_to_the_last_bit(train: Callable[..., tuple[Path, Trained]]) -> None:
    assert train()[1] == train.__wrapped__()[1]  # type: ignore[attr-defined]


@pytest.mark.integration
@pytest.mark.parametrize(("name", "value"), [*TRAINING.items(), *CHOICES])
def test_each_training_knob_changes_the_training(
    name: str, value: Any, train: Callable[..., tuple[Path, Trained]]
) -> None:
    assert train(name, value)[1] != train()[1]


def test_every_choice_of_a_training_knob_is_told_from_the_others(
    train: Callable[..., tuple[Path, Trained]],
) -> None:
    seen = {name: train("optimizer", name)[1][0] for name in ("adamw8bit", "prodigy", "adafactor")}
    assert len({*seen.values(), train()[1][0]}) == 4


def changed(spec: GenerateSpec, name: str) -> GenerateSpec:
    """The spec as the generation app would write it after the knob was turned."""
    value = DRAWING[name]
    if name == "seed":
        return replace(spec, seeds=(value,))
    if name == "count":
        return replace(spec, seeds=tuple(range(1, 1 + value)))
    if name == "lora_strength":
        return replace(spec, loras=(replace(spec.loras[0], strength=value),))
    return replace(spec, params={**spec.params, name: value})


@pytest.mark.integration
@pytest.mark.parametrize("name", list(DRAWING))
def test_each_drawing_knob_changes_the_pictures(
    name: str,
    train: Callable[..., tuple[Path, Trained]],
    generate_spec: Callable[..., GenerateSpec],
    draw: Callable[[GenerateSpec], list[bytes]],
) -> None:
    usual = generate_spec(loras=(LoraRef(str(train()[0]), "a" * 64, 1.0),))
    assert draw(changed(usual, name)) != draw(usual)


@pytest.mark.integration
def test_the_same_drawing_twice_is_the_same_to_the_last_bit(
    generate_spec: Callable[..., GenerateSpec], draw: Callable[[GenerateSpec], list[bytes]]
) -> None:
    assert draw(generate_spec()) == draw(generate_spec())
