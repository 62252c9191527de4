"""A training sample drawn again in Generate is the same bits, whatever the training did to its weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image
from safetensors.torch import load_file

from isengard.engine import rundir, sampling
from isengard.engine.pipelines import Registry
from isengard.engine.sampling import generate
from isengard.engine.specs import GenerateSpec, LoraRef, TrainSpec
from isengard.engine.trainer import loop
from tests.engine.conftest import Events

pytestmark = pytest.mark.integration

Draw = Callable[..., GenerateSpec]
Train = Callable[..., TrainSpec]
SEED = 7


def go_on() -> bool:
    return False


def again(make: Draw, lora: tuple[LoraRef, ...] = (), **how: Any) -> bytes:
    """The first sample prompt's picture from Generate, at the look of training samples."""
    look = sampling.usual_look("pocket")
    size = {"width": look.width, "height": look.height, "steps": look.steps, "guidance_scale": look.guidance}
    result = generate(make(seeds=(SEED,), loras=lora, **size, **how), Events(), go_on, Registry("cpu"))
    return Image.open(result["outputs"][0]["path"]).tobytes()


def sample(spec: TrainSpec, step: int) -> bytes:
    return Image.open(rundir.sample(Path(spec.run_dir), step, 0)).tobytes()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lora_alpha": 1.7},
        {"precision": "bf16"},
        {"precision": "bf16", "lora_alpha": 3.0},
        {"precision": "bf16", "quantize": "int8"},
        {"ema_decay": 0.9},
        {"precision": "bf16", "gradient_checkpointing": "on", "lora_layers": "blocks and prompt"},
    ],
    ids=str,
)
def test_the_last_sample_is_what_generate_draws(train_spec: Train, generate_spec: Draw, settings: Any) -> None:
    spec = train_spec(**settings)
    result = loop.train(spec, Events(), go_on)
    how = {name: settings[name] for name in ("precision", "quantize") if name in settings}
    assert again(generate_spec, (LoraRef(result["path"], result["sha256"], 1.0),), **how) == sample(spec, 6)


def test_a_sample_in_between_is_what_generate_draws_with_its_checkpoint(train_spec: Train, generate_spec: Draw) -> None:
    spec = train_spec(precision="bf16", lora_alpha=3.0, sample_every_n_steps=3)
    loop.train(spec, Events(), go_on)
    lora = LoraRef(str(rundir.checkpoint(Path(spec.run_dir), 3)), "", 1.0)
    assert again(generate_spec, (lora,), precision="bf16") == sample(spec, 3)


def test_the_baseline_is_what_generate_draws_without_a_lora(train_spec: Train, generate_spec: Draw) -> None:
    spec = train_spec(precision="bf16")
    loop.train(spec, Events(), go_on)
    assert again(generate_spec, precision="bf16") == sample(spec, 0)


def test_drawing_a_sample_changes_no_bit_of_the_training(train_spec: Train) -> None:
    often = loop.train(train_spec("often", sample_every_n_steps=1, lora_alpha=3.0), Events(), go_on)
    never = loop.train(train_spec("never", lora_alpha=3.0), Events(), go_on)
    drawn, undrawn = (load_file(result["path"]) for result in (often, never))
    assert all(torch.equal(drawn[key], undrawn[key]) for key in drawn)
