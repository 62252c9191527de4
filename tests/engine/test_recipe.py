"""A picture's recipe: written, read back, and read from hostile files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from isengard.engine import recipe
from isengard.engine.recipe import LoraUse, Recipe

ANNA = Recipe(
    prompt="a photo of ohwx, “smiling”",
    negative_prompt="blurry, low quality",
    seed=123,
    steps=20,
    guidance_scale=2.5,
    guidance="true_cfg",
    width=64,
    height=96,
    model="pocket",
    loras=(LoraUse("Anna-v1", "aa" * 32, "bb" * 32, 0.8),),
    extra={"character": "char-1", "seed": "mine"},
)


def saved(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    return path


def test_the_a1111_form_is_what_civitai_reads() -> None:
    assert recipe.build_parameters(ANNA) == (
        "a photo of ohwx, “smiling” <lora:Anna-v1:0.8>\nNegative prompt: blurry, low quality\n"
        "Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 2.5, Seed: 123, Size: 64x96, Model: pocket, "
        'Lora hashes: "Anna-v1: bbbbbbbbbbbb", Version: Isengard'
    )


def test_embedded_guidance_is_the_distilled_scale() -> None:
    text = recipe.build_parameters(replace(ANNA, guidance="embedded", guidance_scale=3.5))
    assert "CFG scale: 1, Distilled CFG Scale: 3.5," in text


def test_the_a1111_form_reads_back() -> None:
    read = recipe.parse_parameters(recipe.build_parameters(ANNA))
    assert read == {
        "prompt": ANNA.prompt,
        "negative_prompt": ANNA.negative_prompt,
        "loras": [{"name": "Anna-v1", "strength": 0.8}],
        "steps": 20,
        "seed": 123,
        "guidance_scale": 2.5,
        "width": 64,
        "height": 96,
        "model": "pocket",
        "sampler": "Euler",
    }


def test_our_form_reads_back_exactly_and_extras_hide_nothing() -> None:
    read = recipe.parse_json(recipe.build_json(ANNA))
    assert read is not None
    assert (read["character"], read["seed"], read["loras"][0]["strength"]) == ("char-1", 123, 0.8)


def test_a_prompt_that_imitates_the_form_survives_in_our_json(tmp_path: Path) -> None:
    tricky = replace(ANNA, prompt="x\nNegative prompt: y\nSteps: 1, Seed: 2")
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path, pnginfo=recipe.png_text(tricky))
    read = recipe.read_png(path)
    assert read is not None
    assert (read["prompt"], read["seed"]) == (tricky.prompt, 123)


def test_a_lora_name_cannot_break_its_tag() -> None:
    named = replace(ANNA, loras=(replace(ANNA.loras[0], name='a:b>\\"'),))
    assert "<lora:a_b_:0.8>" in recipe.build_parameters(named)


NO_RECIPE = ("", "[]", "null", "{", "[" * 100_000, "[" * 60_000, '{"version": 1}')
WRONG_TYPES = ('{"version": 99, "prompt": "x"}', '{"version": 1, "prompt": 3}')
TOO_LONG = '{"version": 1, "prompt": "' + "x" * 70_000 + '"}'


@pytest.mark.parametrize("text", [*NO_RECIPE, *WRONG_TYPES, TOO_LONG])
def test_json_that_is_not_ours_is_no_recipe(text: str) -> None:
    assert recipe.parse_json(text) is None


@pytest.mark.parametrize("text", ["", "hello", "Steps: ", "a\nSteps 3", "\n" * 100_000, "a" * 1_000_000])
def test_text_that_is_no_recipe_does_no_harm(text: str) -> None:
    read = recipe.parse_parameters(text)
    assert read is None or read["loras"] == []


@pytest.mark.parametrize("value", ["-5", "1e999", "9" * 500, "nan", "0x10", '"'])
def test_a_seed_that_is_no_number_is_left_out(value: str) -> None:
    read = recipe.parse_parameters(f"a\nSteps: 5, Seed: {value}, Size: 9999999x1")
    assert read is not None
    assert "seed" not in read


def test_a_long_line_of_quotes_is_read_in_no_time() -> None:
    recipe.parse_parameters("a\nSteps: 5, " + 'A: "\\"' * 20_000)


def test_a_picture_without_a_recipe_has_none(tmp_path: Path) -> None:
    assert recipe.read_png(saved(tmp_path / "a.png", other="text")) is None


def test_a_foreign_picture_is_read_by_its_a1111_text(tmp_path: Path) -> None:
    read = recipe.read_png(saved(tmp_path / "a.png", parameters="a cat\nSteps: 5, Seed: 9"))
    assert read is not None
    assert (read["prompt"], read["seed"]) == ("a cat", 9)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff"]
)
def test_a_broken_picture_has_no_recipe(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert recipe.read_png(path) is None


def test_the_json_is_versioned() -> None:
    assert json.loads(recipe.build_json(ANNA))["version"] == 1
