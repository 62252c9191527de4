"""Recipes inside pictures of other programs, and inside pictures made to do harm."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from isengard.engine import recalled, recipe

FLUX = {
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox in snow", "clip": ["11", 0]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["13", 0]}},
    "13": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {"noise": ["25", 0], "guider": ["22", 0], "sigmas": ["17", 0], "sampler": ["16", 0]},
    },
    "16": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "dpmpp_2m"}},
    "17": {"class_type": "BasicScheduler", "inputs": {"steps": 24, "denoise": 1, "model": ["30", 0]}},
    "22": {"class_type": "BasicGuider", "inputs": {"model": ["30", 0], "conditioning": ["26", 0]}},
    "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 219670278747233}},
    "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
    "27": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 768, "batch_size": 1}},
    "28": {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"lora_name": "faces/mira-v1.safetensors", "strength_model": 0.9},
    },
}
CLASSIC = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 8, "steps": 20, "cfg": 8.0, "positive": ["6", 0], "negative": ["7", 0], "model": ["4", 0]},
    },
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a castle"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark"}},
}
INVOKE = {
    "positive_prompt": "a lake",
    "negative_prompt": "people",
    "seed": 11,
    "steps": 30,
    "scheduler": "unipc",
    "cfg_scale": 7.5,
    "width": 512,
    "height": 640,
    "model": {"name": "FLUX Dev", "base": "flux"},
    "loras": [{"model": {"name": "mira-v1"}, "weight": 0.75}],
}


def png(path: Path, **texts: Any) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text if isinstance(text, str) else json.dumps(text))
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    return path


def test_comfyui_graphs_are_followed_from_the_sampler(tmp_path: Path) -> None:
    facts = recalled.read(png(tmp_path / "a.png", prompt=FLUX, workflow={}))
    assert facts is not None
    assert (facts.program, facts.prompt, facts.steps, facts.guidance_scale) == ("ComfyUI", "a fox in snow", 24, 3.5)
    assert (facts.seed, facts.width, facts.loras) == (219670278747233, 1024, (recalled.LoraSeen("mira-v1", 0.9),))


def test_comfyui_keeps_what_is_wanted_apart_from_what_is_not(tmp_path: Path) -> None:
    facts = recalled.read(png(tmp_path / "a.png", prompt=CLASSIC))
    assert facts is not None and (facts.prompt, facts.negative_prompt) == ("a castle", "text, watermark")


def test_a_graph_whose_node_names_itself_by_the_thousand_costs_a_moment(tmp_path: Path) -> None:
    links = {f"i{number}": ["6", 0] for number in range(50_000)}
    graph = {"3": {"inputs": {"positive": ["6", 0]}}, "6": {"inputs": links}}
    began, file = time.process_time(), png(tmp_path / "a.png", prompt=graph)
    assert recalled.read(file) is None and time.process_time() - began < 2


@pytest.mark.parametrize("name", [[["x"]], {"a": 1}, 7, None])
def test_a_lora_whose_name_is_no_text_is_passed_over(tmp_path: Path, name: object) -> None:
    graph = {**CLASSIC, "28": {"inputs": {"lora_name": name, "strength_model": 1}}}
    facts = recalled.read(png(tmp_path / "a.png", prompt=graph))
    assert facts is not None and facts.loras == ()


def test_invokeai_metadata(tmp_path: Path) -> None:
    facts = recalled.read(png(tmp_path / "a.png", invokeai_metadata=INVOKE))
    assert facts is not None
    assert (facts.program, facts.prompt, facts.guidance_scale, facts.model) == ("InvokeAI", "a lake", 7.5, "FLUX Dev")
    assert facts.loras == (recalled.LoraSeen("mira-v1", 0.75),)


def test_each_program_names_its_sampler(tmp_path: Path) -> None:
    text = "a dog\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 5, Size: 512x512"
    texts: list[dict[str, Any]] = [{"prompt": FLUX}, {"invokeai_metadata": INVOKE}, {"parameters": text}]
    read = [recalled.read(png(tmp_path / f"{at}.png", **one)) for at, one in enumerate(texts)]
    assert [facts and facts.sampler for facts in read] == ["dpmpp_2m", "unipc", "DPM++ 2M Karras"]


def test_a1111_writes_into_jpegs_too(tmp_path: Path) -> None:
    text = "a dog\nNegative prompt: cats\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x512"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif)
    facts = recalled.read(tmp_path / "a.jpg")
    assert facts is not None and (facts.program, facts.negative_prompt, facts.seed) == ("A1111", "cats", 5)


def test_ours_counts_before_what_imitates_it(tmp_path: Path) -> None:
    ours = json.dumps({"version": recipe.VERSION, "prompt": "mine", "seed": 1})
    facts = recalled.read(png(tmp_path / "a.png", isengard=ours, prompt=CLASSIC, invokeai_metadata=INVOKE))
    assert facts is not None and (facts.program, facts.prompt) == ("Isengard", "mine")


CIRCLE = {str(n): {"inputs": {"positive": [str((n + 1) % 3), 0]}} for n in range(3)}
HOSTILE: list[dict[str, Any]] = [
    {"prompt": "[" * 100_000},
    {"prompt": CIRCLE},
    {"prompt": {str(n): {"inputs": {}} for n in range(recalled.MOST_NODES + 1)}},
    {"prompt": {"1": {"inputs": {"positive": ["1", 0], "text": 5}}, "2": 7, "3": {"inputs": []}}},
    {"invokeai_metadata": {"positive_prompt": ["x"], "seed": "x"}},
    {"invokeai_metadata": '{"positive_prompt": ' + "9" * 5000 + "}"},
    {"isengard": {"version": 1, "prompt": ""}},
    {"isengard": {"version": 1, "prompt": {"a": 1}}},
    {"parameters": "Steps: 1"},
]


@pytest.mark.parametrize("texts", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_recipes_are_no_recipes(tmp_path: Path, texts: dict[str, Any]) -> None:
    assert recalled.read(png(tmp_path / "a.png", **texts)) is None


def test_values_of_a_wrong_type_are_dropped(tmp_path: Path) -> None:
    wrong = {
        "seed": True,
        "steps": -1,
        "guidance_scale": 1e300,
        "width": "512",
        "loras": [1, {"name": "x"}],
        "model": [],
    }
    facts = recalled.read(png(tmp_path / "a.png", isengard={"version": 1, "prompt": "a\0b", **wrong}))
    assert facts == recalled.Facts(program="Isengard", prompt="ab")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"x" * 1000])
def test_what_is_no_picture_has_no_recipe(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert recalled.read(tmp_path / "a.png") is None
