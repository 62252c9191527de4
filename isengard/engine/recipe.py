"""A picture's recipe as PNG text: `parameters` as A1111 and Civitai read it, `isengard` as exact JSON. No torch.

Reading treats every file as hostile: sizes are bounded, types checked, nothing evaluated. No path is ever in it."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

VERSION = 1
LONGEST = 1 << 16
# name: value pairs of A1111's last line; a value is bare, or a JSON string where it holds commas.
_PAIR = re.compile(r'([A-Z][\w ]{0,40}): ("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)')
_LORA_TAG = re.compile(r"<lora:([^:<>]{1,200}):(-?[\d.]{1,12})>")
# Our samplers as A1111 calls them.
_A1111 = {"euler": "Euler", "heun": "Heun", "dpmpp_2m": "DPM++ 2M", "unipc": "UniPC"}
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


@dataclass(frozen=True)
class LoraUse:
    """An adapter in a picture: `sha256` of the file, `tensor_hash` of its tensors alone (what Civitai matches)."""

    name: str
    sha256: str
    tensor_hash: str
    strength: float


@dataclass(frozen=True)
class Recipe:
    """Everything that made one picture. `extra` is what the caller wants kept beside it (character, LoRA version …)."""

    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    guidance: str
    width: int
    height: int
    model: str
    loras: tuple[LoraUse, ...] = ()
    sampler: str = "euler"
    extra: dict[str, Any] = field(default_factory=dict)


def png_text(recipe: Recipe) -> PngInfo:
    """Both chunks; text outside Latin-1 becomes iTXt, which every reader here knows."""
    info = PngInfo()
    info.add_itxt("parameters", build_parameters(recipe))
    info.add_itxt("isengard", build_json(recipe))
    return info


def build_json(recipe: Recipe) -> str:
    """Our form. The caller's extras never hide a fact of the recipe."""
    facts = asdict(recipe)
    extra = facts.pop("extra")
    return json.dumps({**extra, "version": VERSION, **facts}, ensure_ascii=False, sort_keys=True)


def build_parameters(recipe: Recipe) -> str:
    """A1111's form (webui `infotext`): prompt with <lora:…> tags, negative prompt, one line of pairs."""
    tags = "".join(f" <lora:{_plain(lora.name)}:{lora.strength:g}>" for lora in recipe.loras)
    lines = [recipe.prompt + tags]
    if recipe.negative_prompt:
        lines.append(f"Negative prompt: {recipe.negative_prompt}")
    return "\n".join([*lines, ", ".join(f"{name}: {_quoted(value)}" for name, value in _pairs(recipe))])


def _pairs(recipe: Recipe) -> list[tuple[str, str]]:
    sampler = _A1111.get(recipe.sampler, recipe.sampler)
    pairs = [("Steps", str(recipe.steps)), ("Sampler", sampler), ("Schedule type", "Simple")]
    if recipe.guidance == "true_cfg":
        pairs.append(("CFG scale", f"{recipe.guidance_scale:g}"))
    else:
        pairs.append(("CFG scale", "1"))
    if recipe.guidance == "embedded":
        pairs.append(("Distilled CFG Scale", f"{recipe.guidance_scale:g}"))
    pairs += [("Seed", str(recipe.seed)), ("Size", f"{recipe.width}x{recipe.height}"), ("Model", recipe.model)]
    if recipe.loras:
        hashes = ", ".join(f"{_plain(lora.name)}: {lora.tensor_hash[:12]}" for lora in recipe.loras)
        pairs.append(("Lora hashes", hashes))
    return [*pairs, ("Version", "Isengard")]


def _plain(name: str) -> str:
    """A name that cannot break a tag: Civitai fails on backslashes, everybody on colons and brackets."""
    return re.sub(r"[^\w. -]+", "_", name)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:"\n]', value) else value


def parse_json(text: str) -> dict[str, Any] | None:
    """Our form read back, or None when it is not ours, too long, or not an object of a version we know."""
    if len(text) > LONGEST:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("prompt"), str):
        return None
    return data


def parse_parameters(text: str) -> dict[str, Any] | None:
    """A1111's form read back: prompt, negative_prompt, loras and what is there of steps, seed, guidance_scale, size.

    The form is ambiguous where a prompt imitates it; our JSON is not, so prefer that. None: not such a text."""
    head, _, last = text[:LONGEST].rstrip().rpartition("\n")
    if not last.startswith("Steps: "):
        return None
    prompt, _, negative = head.partition("\nNegative prompt: ")
    loras = [{"name": name, "strength": _number(value)} for name, value in _LORA_TAG.findall(prompt)]
    found = {name: _unquoted(value) for name, value in _PAIR.findall(last)}
    facts = {"prompt": _LORA_TAG.sub("", prompt).strip(), "negative_prompt": negative.strip(), "loras": loras}
    return {**facts, **_typed(found)}


def _typed(found: dict[str, str]) -> dict[str, Any]:
    scale = found.get("Distilled CFG Scale") or found.get("CFG scale", "")
    facts: dict[str, Any] = {"steps": _whole(found.get("Steps", "")), "seed": _whole(found.get("Seed", ""))}
    facts["guidance_scale"] = _number(scale)
    if size := _SIZE.fullmatch(found.get("Size", "")):
        facts["width"], facts["height"] = int(size[1]), int(size[2])
    facts["model"], facts["sampler"] = found.get("Model"), found.get("Sampler")
    return {name: value for name, value in facts.items() if value is not None}


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,20}", text) else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", text) else None


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def read_png(path: Path) -> dict[str, Any] | None:
    """The recipe inside a PNG, ours first; None when there is none that can be read."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            texts = {key: str(value) for key, value in image.info.items() if isinstance(value, str)}
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return parse_json(texts.get("isengard", "")) or parse_parameters(texts.get("parameters", ""))
