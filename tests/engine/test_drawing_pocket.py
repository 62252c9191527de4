"""The tools on Pocket itself: pictures that it draws, faces that are truly found in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image

from isengard.engine import catalog, sampling, tools
from isengard.engine.drawing import faces
from isengard.engine.pipelines import Registry
from isengard.engine.pocket.faces import sample_photos
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef, TrainImage, TrainSpec
from isengard.engine.trainer import loop
from tests.engine.conftest import TRAIN_PARAMS, Events

pytestmark = pytest.mark.integration

POCKET = catalog.get("pocket")
BASE = BaseModel("pocket", "flux1", str(catalog.POCKET))
OF_REQUEST = ("seed", "count", "lora_strength")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry("cpu")


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    sample_photos(96, 1)[0][1].save(path)
    return str(path)


@pytest.fixture
def make(registry: Registry, tmp_path: Path) -> Any:
    def make(tool: str, inputs: dict[str, str], loras: tuple[LoraRef, ...] = (), **values: Any) -> Image.Image:
        known = (param for param in tools.params(tool, POCKET) if param.name not in OF_REQUEST)
        params = {param.name: param.clean(values.get(param.name)) for param in known}
        out, cache, prompt = str(tmp_path / tool), str(tmp_path / "cache"), "a photo of a woman, smiling"
        spec = GenerateSpec("gen-1", BASE, out, cache, prompt, (3,), params, loras, {}, False, (), tool, inputs)
        made = sampling.generate(spec, Events(), lambda: False, registry)["outputs"]
        return Image.open(made[0]["path"])

    return make


@pytest.fixture
def worn(tmp_path: Path, portrait: str) -> tuple[LoraRef, LoraRef]:
    """Two LoRAs of Pocket, hardly trained."""
    photos = (TrainImage(portrait, "c" * 64, "a photo of ohwx"),)
    made = []
    for seed in (1, 2):
        params: dict[str, Any] = {**TRAIN_PARAMS, "steps": 1, "resolution": 64, "seed": seed, "warmup_steps": 0}
        run = str(tmp_path / f"run{seed}")
        spec = TrainSpec("train-1", BASE, run, f"{run}/cache", photos, "ohwx", "woman", (), params)
        result = loop.train(spec, Events(), lambda: False)
        made.append(LoraRef(result["path"], result["sha256"], 1.0))
    return made[0], made[1]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean of the channels' differences, 0 to 255."""
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def test_hires_fix_keeps_the_one_face_that_was_drawn(make: Any) -> None:
    found = faces.find(make("hires", {}, hires_scale=1.5, steps=10))
    assert len(found) == 1 and found[0].width > 36


def test_an_upscaled_portrait_is_the_portrait_and_not_the_mere_enlargement(make: Any, portrait: str) -> None:
    plain = Image.open(portrait).resize((192, 192), Image.Resampling.LANCZOS)
    assert 0.5 < difference(make("upscale", {"source": portrait}, steps=6), plain) < 25


def test_a_picture_is_changed_the_more_the_further_it_may_go(make: Any, portrait: str) -> None:
    source = Image.open(portrait)
    little, much = (make("image_to_image", {"source": portrait}, denoise=denoise) for denoise in (0.2, 0.9))
    assert difference(little, source) < difference(much, source)


def test_a_refined_face_is_still_a_face_and_nothing_else_changed(make: Any, portrait: str) -> None:
    source = Image.open(portrait)
    face = faces.find(source)[0].grown(0.25).within(source.size)
    refined = make("face_refine", {"source": portrait})
    changed = (np.asarray(refined) != np.asarray(source)).any(-1)
    assert changed.any() and faces.find(refined)
    changed[face[1] : face[3], face[0] : face[2]] = False
    assert not changed.any()


def test_two_people_are_drawn_from_the_prompt_alone(make: Any, worn: tuple[LoraRef, LoraRef]) -> None:
    both = make("pair", {}, worn, height=96)
    left, right = faces.two(both)
    assert both.size == (192, 96) and left.right < right.left
