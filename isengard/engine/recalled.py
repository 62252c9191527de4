"""Recipes inside pictures of any program (ours, A1111 and its heirs, ComfyUI, InvokeAI), as the same plain facts.

Every file is hostile: nothing is decoded or evaluated, sizes are bounded, and a value of a wrong type is dropped."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from isengard.engine import pngtext, recipe

# A ComfyUI graph is long; ours and A1111's are bounded in recipe.py.
LONGEST_GRAPH = 1 << 20
LONGEST_PROMPT = 10_000
MOST_LORAS, MOST_NODES, DEEPEST = 20, 5000, 30
FORMATS = ("PNG", "JPEG", "WEBP")
# EXIF: the sub-directory with the camera's own fields, and its comment, where A1111 writes into JPEG and WebP.
EXIF_IFD, USER_COMMENT = 0x8769, 0x9286


@dataclass(frozen=True)
class LoraSeen:
    """A LoRA as the picture names it; `sha256` only where the studio itself wrote it."""

    name: str
    strength: float
    sha256: str = ""


@dataclass(frozen=True)
class Facts:
    """What a picture says of itself; None or empty where it says nothing. Sizes in pixels."""

    program: str
    prompt: str
    negative_prompt: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    model: str = ""
    sampler: str = ""
    loras: tuple[LoraSeen, ...] = ()


def read(path: Path) -> Facts | None:
    """The recipe of a picture, or None when it is no picture or carries none that can be read."""
    texts = _texts(path)
    for program, parse in (("Isengard", _ours), ("InvokeAI", _invoke), ("ComfyUI", _comfy), ("A1111", _a1111)):
        if (data := parse(texts)) is not None and (facts := _facts(program, data)) is not None:
            return facts
    return None


def _texts(path: Path) -> dict[str, str]:
    """The text chunks of a PNG, those before the pixels first, and the EXIF comment as `parameters`."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            texts = {
                key: str(value) for key, value in image.info.items() if isinstance(key, str) and isinstance(value, str)
            }
            comment = image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT)
        texts = pngtext.after_pixels(path) | texts
    except (
        OSError,
        ValueError,
        SyntaxError,
        KeyError,
        TypeError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ):
        return {}
    if isinstance(comment, bytes) and comment.startswith(b"UNICODE\0"):
        texts.setdefault("parameters", comment[8 : 8 + LONGEST_GRAPH].decode("utf-16-be", "replace"))
    return texts


def _ours(texts: dict[str, str]) -> dict[str, Any] | None:
    return recipe.parse_json(texts.get("isengard", ""))


def _a1111(texts: dict[str, str]) -> dict[str, Any] | None:
    return recipe.parse_parameters(texts.get("parameters", ""))


def _facts(program: str, data: dict[str, Any]) -> Facts | None:
    """The facts with the types they must have; None without a prompt."""
    if not (prompt := _text(data.get("prompt"))):
        return None
    return Facts(
        program=program,
        prompt=prompt,
        negative_prompt=_text(data.get("negative_prompt")),
        seed=_whole(data.get("seed")),
        steps=_whole(data.get("steps")),
        guidance_scale=_number(data.get("guidance_scale")),
        width=_whole(data.get("width")),
        height=_whole(data.get("height")),
        model=_text(data.get("model"))[:200],
        sampler=_text(data.get("sampler"))[:100],
        loras=_loras(data.get("loras")),
    )


def _loras(value: Any) -> tuple[LoraSeen, ...]:
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    seen = ((_text(row.get("name")), _number(row.get("strength")), _text(row.get("sha256"))) for row in rows)
    named = [LoraSeen(name[:200], strength, digest) for name, strength, digest in seen if name and strength is not None]
    return tuple(named[:MOST_LORAS])


def _text(value: Any) -> str:
    """Without halves of surrogate pairs and NULs, which no database takes."""
    if not isinstance(value, str):
        return ""
    return value[:LONGEST_PROMPT].encode("utf-8", "ignore").decode().replace("\0", "").strip()


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e6 or not math.isfinite(value):
        return None
    return float(value)


def _object(text: str) -> dict[str, Any] | None:
    if not text or len(text) > LONGEST_GRAPH:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _invoke(texts: dict[str, str]) -> dict[str, Any] | None:
    """InvokeAI's `invokeai_metadata`: names of its core_metadata node."""
    if (data := _object(texts.get("invokeai_metadata", ""))) is None:
        return None
    model = data.get("model")
    rows = data.get("loras")
    return {
        **{name: data.get(name) for name in ("negative_prompt", "seed", "steps", "width", "height")},
        "prompt": data.get("positive_prompt"),
        "guidance_scale": data.get("guidance") or data.get("cfg_scale"),
        "sampler": data.get("scheduler"),
        "model": model.get("name") if isinstance(model, dict) else "",
        "loras": [_invoke_lora(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else [],
    }


def _invoke_lora(row: dict[str, Any]) -> dict[str, Any]:
    model = row.get("model") or row.get("lora")
    return {"name": model.get("name") if isinstance(model, dict) else "", "strength": row.get("weight")}


def _comfy(texts: dict[str, str]) -> dict[str, Any] | None:
    """ComfyUI's `prompt`: the graph as it was run, `{id: {class_type, inputs}}`; a link is `[id, output]`."""
    if (data := _object(texts.get("prompt", ""))) is None or len(data) > MOST_NODES:
        return None
    nodes = {key: node for key, node in data.items() if isinstance(node, dict) and isinstance(node.get("inputs"), dict)}
    return _Graph(nodes).facts()


class _Graph:
    """The graph of a picture, asked from its sampler backwards."""

    def __init__(self, nodes: dict[str, dict[str, Any]]) -> None:
        self.nodes = nodes

    def facts(self) -> dict[str, Any] | None:
        sampler = self._first("positive") or self._first("guider") or self._first("conditioning")
        if sampler is None:
            return None
        ways = ("positive", "guider", "conditioning")
        return {
            "prompt": self._sought(sampler, ways, ("text", "t5xxl", "clip_l", "string", "value")),
            "negative_prompt": self._sought(sampler, ("negative",), ("text", "t5xxl", "clip_l", "string", "value")),
            "seed": self._any("seed", "noise_seed"),
            "steps": self._any("steps"),
            "guidance_scale": self._any("guidance") or self._any("cfg"),
            "width": self._any("width"),
            "height": self._any("height"),
            "model": self._any("unet_name", "ckpt_name"),
            "sampler": self._any("sampler_name"),
            "loras": self._loras(),
        }

    def _first(self, name: str) -> dict[str, Any] | None:
        return next((node["inputs"] for node in self.nodes.values() if name in node["inputs"]), None)

    def _any(self, *names: str) -> Any:
        """The first plain value (not a link) under one of these names, anywhere."""
        for name in names:
            for node in self.nodes.values():
                value = node["inputs"].get(name)
                if isinstance(value, int | float | str) and not isinstance(value, bool):
                    return value
        return None

    def _sought(self, inputs: dict[str, Any], ways: tuple[str, ...], words: tuple[str, ...]) -> str:
        """The first text on the way backwards along these inputs; every further node may be left by any input."""
        nexts: list[Any] = [inputs.get(way) for way in ways]
        passed: set[str] = set()
        for _ in range(DEEPEST):
            found = self._behind(nexts, passed)
            for node in found:
                for word in words:
                    if isinstance(node.get(word), str) and node[word].strip():
                        return str(node[word])
            nexts = [value for node in found for value in node.values() if isinstance(value, list)]
        return ""

    def _behind(self, links: list[Any], passed: set[str]) -> list[dict[str, Any]]:
        """The nodes that links lead to, each once on the whole way: they may go round, and name one another by the
        thousand."""
        found = []
        for link in links:
            name = str(link[0]) if isinstance(link, list) and link and isinstance(link[0], str | int) else ""
            if name in self.nodes and name not in passed:
                passed.add(name)
                found.append(self.nodes[name]["inputs"])
        return found

    def _loras(self) -> list[dict[str, Any]]:
        worn = [node["inputs"] for node in self.nodes.values() if isinstance(node["inputs"].get("lora_name"), str)]
        return [
            {
                "name": inputs["lora_name"].rpartition("/")[2].removesuffix(".safetensors"),
                "strength": inputs.get("strength_model"),
            }
            for inputs in worn
        ]
