"""Every tool makes what it says, and every knob that it names changes that; on a tiny base, from real pictures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image, ImageDraw

from isengard.engine import catalog, recipe, sampling, tools
from isengard.engine.drawing import faces, region, rrdb
from isengard.engine.errors import EngineError
from isengard.engine.params import BadParam
from isengard.engine.pipelines import Registry
from isengard.engine.pocket.faces import sample_photos
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef
from tests.engine.conftest import Events

pytestmark = pytest.mark.integration

POCKET = catalog.get("pocket")
Make = Callable[..., Image.Image]
# Small and short; what is left out is the tool's default.
SMALL: dict[str, Any] = {"steps": 2, "guidance_scale": 1.0, "denoise": 0.8}
OF_REQUEST = ("seed", "count", "lora_strength", "width", "height")
OWN: dict[str, dict[str, Any]] = {
    "draw": {"tiled_decoding": "on"},
    "hires": {"hires_scale": 1.5, "denoise": 0.3, "tiled_decoding": "on"},
    "image_to_image": {"denoise": 0.3, "tiled_decoding": "on"},
    "inpaint": {"denoise": 0.3, "area": "mask", "margin": 1.0, "feather": 12, "tiled_decoding": "on"},
    "outpaint": {
        "expand_left": 0,
        "expand_right": 0,
        "expand_top": 8,
        "expand_bottom": 8,
        "denoise": 0.3,
        "feather": 12,
        "tiled_decoding": "on",
    },
    "upscale": {"scale": 4, "denoise": 0.3, "tiled_decoding": "on"},
    "face_refine": {"faces": "all", "denoise": 0.3, "margin": 1.0, "feather": 12, "tiled_decoding": "on"},
    "pair": {
        "face_prompts": ("a man", "a dog"),
        "layout": "scene",
        "denoise": 0.3,
        "margin": 1.0,
        "feather": 12,
        "tiled_decoding": "on",
    },
}

# Where a knob counts only beside another, or would take long.
WITH: dict[str, dict[str, Any]] = {"margin": {"area": "mask"}, "scale": {"denoise": 0}}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry("cpu")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two portraits side by side, and a mask on the left one's mouth."""
    folder, both = tmp_path_factory.mktemp("given"), Image.new("RGB", (192, 96))
    for index, (_, photo, _) in enumerate(sample_photos(96, 2)):
        both.paste(photo, (96 * index, 0))
    mask = Image.new("L", both.size, 0)
    ImageDraw.Draw(mask).ellipse((30, 50, 66, 80), fill=255)
    both.save(folder / "source.png")
    mask.save(folder / "mask.png")
    return {"source": str(folder / "source.png"), "mask": str(folder / "mask.png")}


@pytest.fixture
def spec(tiny: BaseModel, given: dict[str, str], tmp_path: Path) -> Callable[..., GenerateSpec]:
    def spec(tool: str, name: str = "pictures", **values: Any) -> GenerateSpec:
        known = {param.name: param for param in tools.params(tool, POCKET) if param.name not in OF_REQUEST}
        told = {**SMALL, **values}
        inputs = {one.name: given[one.name] for one in tools.get(tool).inputs}
        return GenerateSpec(
            job="gen-1",
            base=tiny,
            out_dir=str(tmp_path / name),
            cache_dir=str(tmp_path / "cache"),
            prompt="a photo of ohwx",
            seeds=(1,),
            params={name: param.clean(told.get(name)) for name, param in known.items()} | {"width": 32, "height": 32},
            preview=False,
            tool=tool,
            inputs=inputs,
        )

    return spec


@pytest.fixture
def make(registry: Registry) -> Callable[[GenerateSpec], Image.Image]:
    def make(spec: GenerateSpec) -> Image.Image:
        result = sampling.generate(spec, Events(), lambda: False, registry)
        return Image.open(result["outputs"][0]["path"])

    return make


def worn(spec: GenerateSpec, loras: tuple[LoraRef, LoraRef]) -> GenerateSpec:
    return replace(spec, loras=loras[: tools.get(spec.tool).loras])


def test_every_knob_of_every_tool_is_tried_here() -> None:
    named = {key: {param.name for param in tools.own_params(key, POCKET)} for key in tools.TOOLS}
    assert {key: set(OWN[key]) for key in OWN} == named


@pytest.mark.parametrize(
    ("tool", "name"), [(tool, name) for tool, values in OWN.items() for name in values if name != "layout"]
)
def test_each_knob_of_a_tool_changes_its_picture(
    tool: str, name: str, spec: Callable[..., GenerateSpec], make: Make, loras: tuple[LoraRef, LoraRef]
) -> None:
    usual = spec(tool, **WITH.get(name, {}))
    if name == "tiled_decoding":
        usual = replace(usual, params={**usual.params, "width": 96, "height": 96, "tiled_decoding": "off"})
    changed = replace(usual, out_dir=usual.out_dir + "-2", params={**usual.params, name: OWN[tool][name]})
    one, other = (make(worn(each, loras)) for each in (usual, changed))
    assert one.size != other.size or one.tobytes() != other.tobytes()


def test_the_layout_of_two_characters_changes_their_picture(
    spec: Callable[..., GenerateSpec], make: Make, loras: tuple[LoraRef, LoraRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny base draws no faces, so they are said to be somewhere."""
    monkeypatch.setattr(faces, "two", lambda *given: (region.Box(4, 4, 12, 12), region.Box(44, 4, 52, 12)))
    pair = replace(spec("pair"), inputs={}, loras=loras)
    wide = [replace(pair, params={**pair.params, "width": 64, "layout": how}) for how in ("scene", "side by side")]
    assert make(wide[0]).tobytes() != make(wide[1]).tobytes()


@pytest.mark.parametrize("tool", list(tools.TOOLS))
def test_each_tool_makes_a_picture_of_the_size_it_foretells(
    tool: str, spec: Callable[..., GenerateSpec], make: Make, loras: tuple[LoraRef, LoraRef]
) -> None:
    wanted = spec(tool)
    source = (192, 96) if "source" in wanted.inputs else None
    assert make(worn(wanted, loras)).size == tools.result_size(tool, POCKET, wanted.params, source)


@pytest.mark.parametrize("tool", ["image_to_image", "inpaint", "outpaint", "upscale", "face_refine"])
def test_the_prompt_counts_in_every_tool(tool: str, spec: Callable[..., GenerateSpec], make: Make) -> None:
    usual = spec(tool)
    other = replace(usual, prompt="a green dog", out_dir=usual.out_dir + "-2")
    assert make(usual).tobytes() != make(other).tobytes()


def pixels(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGB"), int)


@pytest.mark.parametrize("area", ["picture", "mask"])
def test_inpainting_changes_nothing_outside_the_mask(
    area: str, spec: Callable[..., GenerateSpec], make: Make, given: dict[str, str]
) -> None:
    changed = (pixels(make(spec("inpaint", area=area))) != pixels(Image.open(given["source"]))).any(-1)
    inside = np.asarray(Image.open(given["mask"])) > 0
    assert not changed[~inside].any() and changed[inside].mean() > 0.5


def test_outpainting_keeps_the_old_picture_but_for_its_soft_edge(
    spec: Callable[..., GenerateSpec], make: Make, given: dict[str, str]
) -> None:
    wide = pixels(make(spec("outpaint", expand_left=32, expand_right=0, feather=6)))
    assert wide.shape == (96, 224, 3)
    assert (wide[:, 32 + 6 :] == pixels(Image.open(given["source"]))[:, 6:]).all()


def test_refining_a_face_leaves_the_rest_of_the_picture(
    spec: Callable[..., GenerateSpec], make: Make, given: dict[str, str]
) -> None:
    changed = (pixels(make(spec("face_refine"))) != pixels(Image.open(given["source"]))).any(-1)
    columns = np.flatnonzero(changed.any(0))
    assert changed.any() and (columns.max() < 96 or columns.min() >= 96)


def test_each_of_two_faces_is_drawn_with_its_own_lora_alone(
    spec: Callable[..., GenerateSpec], make: Make, loras: tuple[LoraRef, LoraRef]
) -> None:
    usual, off = spec("pair"), replace(loras[1], strength=0.0)
    both = pixels(make(replace(usual, loras=loras)))
    left_only = pixels(make(replace(usual, loras=(loras[0], off), out_dir=usual.out_dir + "-2")))
    assert (both[:, :96] == left_only[:, :96]).all()
    assert (both[:, 96:] != left_only[:, 96:]).any()


def test_without_a_source_two_people_are_drawn_without_a_lora_first(
    spec: Callable[..., GenerateSpec], registry: Registry, loras: tuple[LoraRef, LoraRef], monkeypatch: Any
) -> None:
    worn_by: list[int] = []
    real = registry.wear

    def wear(loras: tuple[LoraRef, ...]) -> Any:
        worn_by.append(len(loras))
        return real(loras)

    monkeypatch.setattr(registry, "wear", wear)
    pair = replace(spec("pair"), inputs={}, loras=loras)
    with pytest.raises(EngineError, match="Two faces are needed"):
        sampling.generate(pair, Events(), lambda: False, registry)
    assert worn_by == [2, 0]


def test_two_characters_need_two_loras(spec: Callable[..., GenerateSpec], make: Make) -> None:
    with pytest.raises(EngineError, match="Two characters are needed"):
        make(spec("pair"))


def test_an_upscaling_model_is_used_where_there_is_one_and_told(
    spec: Callable[..., GenerateSpec], make: Make, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    (tmp_path / "upscale").mkdir()
    torch.save(rrdb.Upscaler(8, 4, 1, 2).state_dict(), tmp_path / "upscale" / "Toy.pth")
    plain = spec("upscale", denoise=0)
    found = tools.files("upscale", tmp_path)
    image = make(replace(plain, inputs={**plain.inputs, **found}))
    told = recipe.read_png(Path(plain.out_dir) / "00.png")
    assert image.size == (384, 192) and told is not None and told["tool"]["method"] == "model Toy"


def test_the_recipe_names_the_tool_its_knobs_and_what_it_was_given_but_no_path(
    spec: Callable[..., GenerateSpec], make: Make
) -> None:
    wanted = spec("inpaint")
    make(wanted)
    told = recipe.read_png(Path(wanted.out_dir) / "00.png")
    assert told is not None and told["tool"]["name"] == "inpaint"
    assert told["tool"]["params"]["denoise"] == 0.8 and len(told["tool"]["inputs"]["mask"]) == 64
    assert "/" not in str(told["tool"])


def test_nothing_to_add_is_refused() -> None:
    values = {f"expand_{side}": 0 for side in tools.SIDES}
    with pytest.raises(BadParam, match="Nothing is to be added"):
        tools.require_possible("outpaint", POCKET, values, (96, 96))


def test_a_result_that_is_too_large_is_refused() -> None:
    with pytest.raises(BadParam, match="4000 × 4000"):
        tools.require_possible("upscale", POCKET, {"scale": 4, "denoise": 0.3}, (1000, 1000))
    tools.require_possible("upscale", POCKET, {"scale": 4, "denoise": 0}, (1000, 1000))


@pytest.mark.parametrize("lines", [["a", "b", "c"], ["x" * 2001]])
def test_two_faces_have_at_most_two_prompts_of_a_bounded_length(lines: list[str]) -> None:
    tools.require_possible("pair", POCKET, {"face_prompts": ["x" * 2000, "b"], "width": 96, "height": 96}, None)
    with pytest.raises(BadParam):
        tools.require_possible("pair", POCKET, {"face_prompts": lines, "width": 96, "height": 96}, None)


def test_a_tool_that_nobody_knows_is_a_sentence(spec: Callable[..., GenerateSpec], make: Make) -> None:
    with pytest.raises(EngineError, match="no tool called 'magic'"):
        make(replace(spec("draw"), tool="magic"))


def test_the_tools_of_a_base_that_is_not_here_say_why(tmp_path: Path) -> None:
    assert "not on this machine" in tools.why_not("inpaint", catalog.get("flux-dev"), tmp_path)
    assert tools.why_not("inpaint", POCKET, tmp_path) == ""
