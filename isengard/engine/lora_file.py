"""LoRA files from the outside: header check of anybody's file, header of ours, does it fit a base. No torch, no Django.

The tensors are never read here, only the safetensors header; so a web process may ask about an upload."""

import hashlib
import json
import math
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isengard.engine import catalog
from isengard.engine.errors import EngineError
from isengard.engine.specs import BaseModel

FORMAT_VERSION = 1
LONGEST_HEADER = 16 << 20
MOST_TENSORS = 20_000
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}
FLUX_WIDTH = 3072
NOT_OURS = "not_a_lora"
ARCHITECTURES = {"flux-dev": "flux-1-dev/lora", "flux-schnell": "flux-1-schnell/lora", "pocket": "isengard-pocket/lora"}

# Where a FLUX.1 LoRA may act, in diffusers' names (lora_A/lora_B, or the older lora.down/up) …
_FLUX = re.compile(
    r"transformer\.(?:"
    r"transformer_blocks\.\d+\.(?:attn\.(?:to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)"
    r"|ff(?:_context)?\.net\.(?:0\.proj|2)|norm1(?:_context)?\.linear)"
    r"|single_transformer_blocks\.\d+\.(?:attn\.to_[qkv]|proj_mlp|proj_out|norm\.linear)"
    r"|x_embedder|context_embedder|proj_out|norm_out\.linear"
    r"|time_text_embed\.(?:timestep|guidance|text)_embedder\.linear_[12]"
    r")\.(?:lora_[AB]\.weight|alpha)"
)
# … and in kohya's (sd-scripts, FluxGym): BFL's names with underscores and fused qkv.
_KOHYA = re.compile(
    r"lora_unet_(?:double_blocks_\d+_(?:img|txt)_(?:attn_(?:qkv|proj)|mlp_[02]|mod_lin)"
    r"|single_blocks_\d+_(?:linear[12]|modulation_lin))\.(?:lora_(?:down|up)\.weight|alpha)"
)
_OTHER_FAMILIES = (
    (
        re.compile(r"unet\.|lora_te2?_|lora_te1_|lora_unet_(?:input|output|middle|down|up|mid)_block|text_encoder"),
        "Stable Diffusion",
    ),
    (re.compile(r"transformer\.(?:blocks|layers|noise_refiner|context_refiner)\."), "another transformer model"),
    (re.compile(r"diffusion_model\.|lycoris_"), "another tool's key style, which is not read here"),
)
# One half of a LoRA whose input is the model's width.
_READS_WIDTH = re.compile(r"(?:attn\.to_q\.lora_A|proj_mlp\.lora_A|attn_qkv\.lora_down|linear1\.lora_down)\.weight$")


@dataclass(frozen=True)
class LoraHeader:
    """What a LoRA file says about itself. `width` is the hidden size of the base that it was trained on."""

    name: str
    family: str
    style: str
    base_key: str
    trigger: str
    rank: int
    width: int
    tensors: int
    size_bytes: int
    tensor_hash: str
    metadata: dict[str, str] = field(default_factory=dict)


def inspect(path: Path) -> LoraHeader:
    """Checks the header and tells what the file is. EngineError not_a_lora / lora_other_family / lora_unknown_keys:
    a sentence that says what is wrong with the file."""
    header, start = _read_header(path)
    metadata = _metadata(header.pop("__metadata__", {}))
    size = path.stat().st_size
    shapes = _shapes(header, size - start)
    style = _style(shapes)
    ours = _own(metadata)
    width = _width(shapes)
    return LoraHeader(
        name=(metadata.get("ss_output_name") or metadata.get("modelspec.title") or path.stem)[:200],
        family="flux1",
        style=style,
        base_key=str(ours.get("base_key", "")) or ("flux-dev" if width == FLUX_WIDTH else ""),
        trigger=_trigger(metadata),
        rank=max(min(shape) for name, shape in shapes.items() if len(shape) == 2),
        width=width,
        tensors=len(shapes),
        size_bytes=size,
        tensor_hash=_hash_from(path, start),
        metadata=metadata,
    )


def _bad(why: str) -> EngineError:
    return EngineError(NOT_OURS, f"This is not a usable LoRA file: {why}. Choose a .safetensors LoRA made for FLUX.1.")


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON header and where the tensors begin."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(LONGEST_HEADER, size - 8):
                raise _bad("it has no safetensors header, or is cut off")
            header = json.loads(file.read(length))
    except OSError:
        raise _bad("it cannot be read") from None
    except (ValueError, RecursionError):
        raise _bad("its header is damaged") from None
    if not isinstance(header, dict):
        raise _bad("its header is damaged")
    return header, 8 + length


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _bad("its metadata is not text")
    return value


def _shapes(header: dict[str, Any], room: int) -> dict[str, tuple[int, ...]]:
    """Tensor name → shape; every tensor lies inside the file, holds what its shape says and overlaps no other."""
    if not 1 <= len(header) <= MOST_TENSORS:
        raise _bad(f"it holds {len(header)} tensors, where 1 to {MOST_TENSORS} are possible")
    shapes, spans = {}, []
    for name, entry in header.items():
        shapes[name], span = _tensor(name, entry)
        spans.append(span)
    end = 0
    for begin, after in sorted(spans):
        if begin != end:
            raise _bad("its tensors overlap or leave gaps")
        end = after
    if end != room:
        raise _bad("it is cut off" if end > room else "it holds more bytes than its header names")
    return shapes


def _tensor(name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise _bad(f"the entry of {name[:80]} is damaged") from None
    whole = [*shape, begin, end] if isinstance(shape, list) else [None]
    if not all(type(number) is int and 0 <= number < 1 << 48 for number in whole) or len(shape) > 4:
        raise _bad(f"the shape of {name[:80]} is impossible")
    if not isinstance(dtype, str) or dtype not in BYTES or end - begin != math.prod(shape) * BYTES[dtype]:
        raise _bad(f"the size or number format of {name[:80]} is impossible")
    return tuple(shape), (begin, end)


def _style(shapes: dict[str, tuple[int, ...]]) -> str:
    for style, pattern in (("diffusers", _FLUX), ("kohya", _KOHYA)):
        unknown = [name for name in shapes if not pattern.fullmatch(name)]
        if not unknown:
            return style
        if len(unknown) < len(shapes):
            shown = ", ".join(name[:80] for name in unknown[:3])
            text = (
                f"This LoRA changes {len(unknown)} parts that FLUX.1 does not have here ({shown}), so it is not loaded."
            )
            raise EngineError("lora_unknown_keys", text)
    for pattern, family in _OTHER_FAMILIES:
        if any(pattern.match(name) for name in shapes):
            raise EngineError(
                "lora_other_family", f"This LoRA was made for {family}, not for FLUX.1. Choose a FLUX.1 LoRA."
            )
    raise _bad(f"it holds no LoRA layers (first tensor: {next(iter(shapes))[:80]})")


def _width(shapes: dict[str, tuple[int, ...]]) -> int:
    for name, shape in shapes.items():
        if _READS_WIDTH.search(name) and len(shape) == 2:
            return shape[1]
    return 0


def _own(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        data = json.loads(metadata.get("isengard", "{}"))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _trigger(metadata: dict[str, str]) -> str:
    if found := metadata.get("modelspec.trigger_phrase"):
        return found[:200]
    try:
        tags = json.loads(metadata.get("ss_tag_frequency", "{}"))
    except (ValueError, RecursionError):
        return ""
    first: Any = next(iter(tags.values()), {}) if isinstance(tags, dict) else {}
    return str(next(iter(first), ""))[:200] if isinstance(first, dict) and len(first) == 1 else ""


def _hash_from(path: Path, start: int) -> str:
    """SHA-256 of the tensors alone, as Civitai (AutoV3) and `modelspec.hash_sha256` use it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def base_width(base: BaseModel) -> int:
    """The hidden size of a base model's denoiser, from its configuration. EngineError base_unreadable."""
    try:
        config = json.loads((Path(base.path) / "transformer" / "config.json").read_text())
        return int(config["num_attention_heads"]) * int(config["attention_head_dim"])
    except (OSError, ValueError, KeyError, TypeError):
        text = f"The base model {base.key} is incomplete: transformer/config.json is missing or damaged."
        raise EngineError("base_unreadable", text) from None


def require_fit(header: LoraHeader, base: BaseModel) -> None:
    """EngineError lora_other_base: the LoRA was trained on a model of another size than this base."""
    width = base_width(base)
    if header.family != base.family or (header.width and header.width != width):
        made_for = _label(header.base_key) if header.base_key else "another FLUX.1 model"
        text = f"This LoRA was trained for {made_for} ({header.width} wide), "
        text += f"but the base model is {_label(base.key)} ({width} wide). "
        raise EngineError("lora_other_base", text + "Choose the base it was trained on, or train it on this one.")


def _label(key: str) -> str:
    return catalog.BASES[key].label if key in catalog.BASES else key[:40]


@dataclass(frozen=True)
class Provenance:
    """What the header of our own file tells about its making. Names only: no path of any machine goes in."""

    base_key: str
    family: str
    title: str
    trigger_word: str
    class_word: str
    rank: int
    steps: int
    learning_rate: float
    seed: int
    images: int
    class_images: int
    resolution: int
    batch_size: int
    caption_dropout: float
    targets: tuple[str, ...]


def metadata(made: Provenance, tensor_hash: str) -> dict[str, str]:
    """The header's text, as sd-scripts (`ss_*`), the SAI model spec 1.0.1 (`modelspec.*`) and diffusers name it.

    α = rank everywhere: ComfyUI reads α only from tensors, so the file holds weights that need none."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", made.title).strip("-") or "lora"
    tags = json.dumps({name: {made.trigger_word: made.images}})
    adapter = {"r": made.rank, "lora_alpha": made.rank, "target_modules": sorted(made.targets)}
    own = {"format": FORMAT_VERSION, "base_key": made.base_key, "family": made.family, "class_word": made.class_word}
    return {
        "format": "pt",
        "ss_output_name": name,
        "ss_base_model_version": made.family,
        "ss_network_module": "networks.lora_flux",
        "ss_network_dim": str(made.rank),
        "ss_network_alpha": str(made.rank),
        "ss_learning_rate": str(made.learning_rate),
        "ss_steps": str(made.steps),
        "ss_seed": str(made.seed),
        "ss_num_train_images": str(made.images),
        "ss_num_reg_images": str(made.class_images),
        "ss_batch_size_per_device": str(made.batch_size),
        "ss_resolution": f"({made.resolution}, {made.resolution})",
        "ss_optimizer": "torch.optim.AdamW",
        "ss_lr_scheduler": "constant_with_warmup",
        "ss_caption_dropout_rate": str(made.caption_dropout),
        "ss_tag_frequency": tags,
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": ARCHITECTURES[made.base_key],
        "modelspec.implementation": "diffusers",
        "modelspec.title": made.title or name,
        "modelspec.trigger_phrase": made.trigger_word,
        "modelspec.date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "modelspec.resolution": f"{made.resolution}x{made.resolution}",
        "modelspec.prediction_type": "v",
        "modelspec.hash_sha256": f"0x{tensor_hash}",
        "lora_adapter_metadata": json.dumps({f"transformer.{key}": value for key, value in adapter.items()}),
        "isengard": json.dumps(own),
    }
