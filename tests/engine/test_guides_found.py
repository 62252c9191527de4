"""Which guides are found in the models folder, and what is said of those that are missing."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from isengard.engine import catalog
from isengard.engine.errors import EngineError
from isengard.engine.guides import found
from isengard.engine.params import BadParam
from isengard.engine.specs import BaseModel
from tests.engine import guides as toys

POCKET = catalog.get("pocket")
VALUES = {"control_kind": "canny", "control_prepared": False}


@pytest.fixture
def models(tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder for a machine whose Pocket is the tiny base."""
    monkeypatch.setattr(catalog, "POCKET", Path(tiny.path))
    return tmp_path / "models"


def test_a_controlnet_is_found_by_its_kind(models: Path) -> None:
    folder = toys.controlnet(models / "controlnet" / "my-canny")
    assert found.files({"control": "x"}, VALUES, POCKET, models) == {"control_net": str(folder)}
    assert "ControlNet" in found.why_not("control", POCKET, models, "pose", prepared=True)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.9, 0.2), (0.0, 0.0)])
def test_a_control_picture_that_would_never_count_is_refused(start: float, end: float) -> None:
    with pytest.raises(BadParam, match="would never count"):
        found.require_window({"control"}, {"control_start": start, "control_end": end})


def test_without_a_control_picture_its_window_is_nobodys_business() -> None:
    found.require_window({"reference"}, {})


@pytest.mark.parametrize(("name", "modes"), [("union-pro", None), ("anything", 5)])
def test_a_union_is_found_for_every_kind(models: Path, name: str, modes: int | None) -> None:
    toys.controlnet(models / "controlnet" / name, modes=modes)
    assert {found.why_not("control", POCKET, models, kind, prepared=True) for kind in found.KINDS} == {""}


def test_a_controlnet_of_another_width_is_passed_over(models: Path) -> None:
    folder = toys.controlnet(models / "controlnet" / "canny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_attention_heads": 24}))
    assert "ControlNet" in found.why_not("control", POCKET, models)


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_a_photo_needs_a_model_for_depth_and_pose_and_a_map_does_not(models: Path, kind: str) -> None:
    toys.controlnet(models / "controlnet" / "union")
    assert f"finds the {kind}" in found.why_not("control", POCKET, models, kind)
    assert found.why_not("control", POCKET, models, kind, prepared=True) == ""
    folder = getattr(toys, kind)(models / kind / "small")
    values = {"control_kind": kind, "control_prepared": False}
    assert found.files({"control": "x"}, values, POCKET, models)["control_maker"] == str(folder)


def test_an_adapter_is_found_with_its_image_encoder(models: Path) -> None:
    folder = toys.adapter(models / "ip-adapter" / "flux")
    assert found.files({"reference": "x"}, {}, POCKET, models) == {"reference_net": str(folder)}


def test_an_adapter_without_its_image_encoder_is_passed_over(models: Path) -> None:
    folder = toys.adapter(models / "ip-adapter" / "flux")
    (folder / "image_encoder" / "config.json").unlink()
    assert "IP-Adapter" in found.why_not("reference", POCKET, models)


def test_what_is_missing_for_flux_says_what_to_put_where(
    tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "locate", lambda key, models: Path(tiny.path))
    flux = catalog.get("flux-dev")
    for name, place in (("control", "controlnet"), ("reference", "ip-adapter")):
        with pytest.raises(EngineError, match=str(tmp_path / place)):
            found.files({name: "x"}, VALUES, flux, tmp_path)


def test_only_the_knobs_of_given_guides_are_there() -> None:
    assert [param.name for param in found.params({"reference"})] == ["reference_strength"]
    assert {param.name.split("_")[0] for param in found.params({"control"})} == {"control"}
