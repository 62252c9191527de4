"""The tiny FLUX of tiny.py, saved once, with short specs to train and draw with it. Imports torch only when asked."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef, TrainImage, TrainSpec

TRAIN_PARAMS: dict[str, Any] = {
    "steps": 6,
    "learning_rate": 1e-2,
    "lora_rank": 4,
    "lora_layers": "blocks",
    "resolution": 32,
    "batch_size": 2,
    "sample_every_n_steps": 0,
    "sample_count": 1,
    "sample_prompts": [],
    "checkpoint_every_n_steps": 3,
    "max_checkpoints": 2,
    "seed": 7,
    "warmup_steps": 2,
    "gradient_accumulation": 1,
    "caption_dropout": 0.2,
    "class_images": 0,
    "lr_schedule": "constant",
    "masked_loss": 1.0,
    "preservation": 0.0,
    "lora_alpha": 0.0,
    "steps_per_image": 0,
    "optimizer": "adamw",
    "weight_decay": 1e-4,
    "timestep_sampling": "sigmoid",
    "training_guidance": 1.0,
    "ema_decay": 0.0,
    "gradient_checkpointing": "auto",
    "quantize": "none",
}


class Events(list[dict[str, Any]]):
    """A sink that remembers."""

    def __call__(self, type: str, /, **fields: Any) -> None:
        self.append({"type": type, **fields})

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self if event["type"] == type]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    from tests.engine.tiny import build_tiny

    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainImage, ...]:
    """Three pictures, two of them square, with the middle as their masks."""
    folder, found = tmp_path_factory.mktemp("photos"), []
    for index, size in enumerate([(40, 40), (50, 50), (60, 40)]):
        path = folder / f"{index}.png"
        Image.radial_gradient("L").resize(size).convert("RGB").point(lambda v, i=index: v // (i + 1)).save(path)
        mask = folder / f"{index}-mask.png"
        ImageOps.expand(Image.new("L", (size[0] - 20, size[1] - 20), 255), 10).save(mask)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(TrainImage(str(path), sha256, f"a photo of ohwx {index}", mask=str(mask)))
    return tuple(found)


@pytest.fixture
def train_spec(
    tiny: BaseModel, photos: tuple[TrainImage, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., TrainSpec]:
    """A short training; its previews and class pictures are drawn small and in few steps."""
    from isengard.engine import sampling

    monkeypatch.setattr(sampling, "usual_look", lambda key: sampling.Look(32, 32, 2, 2.5))

    def make(name: str = "run", **changes: Any) -> TrainSpec:
        fields = {
            field: changes.pop(field) for field in ("resume_from", "images", "base", "prompts") if field in changes
        }
        usual: dict[str, Any] = {"base": tiny, "images": photos, "prompts": ("a photo of ohwx",)}
        return TrainSpec(
            job="train-1",
            run_dir=str(tmp_path / name),
            cache_dir=str(tmp_path / "cache"),
            trigger_word="ohwx",
            class_word="woman",
            params={**TRAIN_PARAMS, **changes},
            title="Anna v1",
            **{**usual, **fields},
        )

    return make


@pytest.fixture
def generate_spec(tiny: BaseModel, tmp_path: Path) -> Callable[..., GenerateSpec]:
    def make(name: str = "pictures", **changes: Any) -> GenerateSpec:
        usual: dict[str, Any] = {
            "base": tiny,
            "prompt": "a photo of ohwx",
            "seeds": (1,),
            "loras": (),
            "preview": False,
        }
        fields = {field: changes.pop(field, default) for field, default in usual.items()}
        params = {"width": 32, "height": 32, "steps": 3, "guidance_scale": 2.5, "negative_prompt": "", **changes}
        out = tmp_path / name
        return GenerateSpec(job="gen-1", out_dir=str(out), cache_dir=str(tmp_path / "cache"), params=params, **fields)

    return make


@pytest.fixture(scope="session")
def loras(
    tiny: BaseModel, photos: tuple[TrainImage, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[LoraRef, LoraRef]:
    """Two that were trained a few steps, from different seeds."""
    from isengard.engine.trainer import loop

    made = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp("lora")
        params: dict[str, Any] = {**TRAIN_PARAMS, "steps": 3, "seed": seed, "learning_rate": 0.05}
        spec = TrainSpec("train-1", tiny, str(folder), str(folder / "cache"), photos, "ohwx", "woman", (), params)
        result = loop.train(spec, Events(), lambda: False)
        made.append(LoraRef(result["path"], result["sha256"], 1.0))
    return made[0], made[1]
