"""Control and reference pictures, and speeds, from a request to what the engine is told; refused with the reason."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from generation import inputs, services
from generation.handlers import GenerationHandler
from generation.models import Generation
from isengard.engine import catalog
from isengard.engine.guides import found
from isengard.errors import Invalid, Unavailable
from tests.pictures import encoded

pytestmark = pytest.mark.django_db


@pytest.fixture
def control(volume: Path) -> str:
    return inputs.keep(io.BytesIO(encoded()))


@pytest.fixture
def union(settings: Any, tmp_path: Path) -> Path:
    """A models folder with what looks like a ControlNet of Pocket's geometry."""
    settings.MODELS_DIR = tmp_path / "models"
    folder = settings.MODELS_DIR / "controlnet" / "union"
    folder.mkdir(parents=True)
    base = json.loads((catalog.POCKET / "transformer" / "config.json").read_text())
    config = {"_class_name": "FluxControlNetModel", **{name: base[name] for name in found.GEOMETRY}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"weights")
    return folder


def asked(control: str, **values: Any) -> Generation:
    given = {"control": control}
    return services.start_generation(prompt="a portrait", base="pocket", inputs=given, values=values)


def test_a_control_picture_reaches_the_engine_with_its_network(control: str, union: Path) -> None:
    spec = GenerationHandler().spec(asked(control, control_strength=0.4).job)
    assert spec["inputs"]["control_net"] == str(union)
    assert Path(spec["inputs"]["control"]).is_file()
    assert (spec["params"]["control_kind"], spec["params"]["control_strength"]) == ("canny", 0.4)


def test_depth_of_a_photo_needs_a_model_that_is_not_here(control: str, union: Path) -> None:
    with pytest.raises(Unavailable, match="finds the depth"):
        asked(control, control_kind="depth")
    assert asked(control, control_kind="depth", control_prepared=True).params["control_kind"] == "depth"


def test_without_a_network_it_is_refused_with_the_reason(control: str, settings: Any, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path
    with pytest.raises(Unavailable, match="ControlNet"):
        asked(control)


def test_knobs_of_a_guide_that_is_not_given_are_refused(volume: Path) -> None:
    with pytest.raises(Invalid, match="control_strength"):
        services.start_generation(prompt="a portrait", base="pocket", values={"control_strength": 0.5})


@pytest.mark.parametrize("strength", [100, -1, float("nan")])
def test_a_strength_out_of_bounds_is_refused(control: str, union: Path, strength: float) -> None:
    with pytest.raises(Invalid, match="control_strength"):
        asked(control, control_strength=strength)


@pytest.mark.parametrize(("name", "value"), [("speed", "exact"), ("sampler", "euler")])
def test_what_every_base_does_may_be_asked_for(volume: Path, name: str, value: str) -> None:
    assert services.start_generation(prompt="a portrait", base="pocket", values={name: value}).count == 1


@pytest.mark.parametrize(("name", "value"), [("speed", "fast"), ("precision", "bf16"), ("quantize", "int8")])
def test_pocket_cannot_be_hurried_and_says_why(api: APIClient, volume: Path, name: str, value: str) -> None:
    config = {"prompt": "a portrait", "base_model": "pocket", name: value}
    answer = api.post("/api/generation", {"config": config})
    assert answer.status_code == 400 and "small" in json.dumps(answer.json())
