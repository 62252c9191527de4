"""LoRA files from the outside: what anybody's file is, the header of ours, does it fit a base. No torch, no Django.

The tensors are never read here, only the safetensors header; so a web process may ask about an upload at once."""

import hashlib
import json
import re
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isengard.engine import catalog, lora_keys, lora_shapes, lora_strangers
from isengard.engine.errors import EngineError
from isengard.engine.lora_header import Entry, Header, read
from isengard.engine.specs import BaseModel
from isengard.version import VERSION

FORMAT_VERSION = 2
MOST_RANK = 8192
ARCHITECTURES = {"flux-dev": "flux-1-dev/lora", "flux-schnell": "flux-1-schnell/lora", "pocket": "isengard-pocket/lora"}
# As sd-scripts writes them, which other tools show.
OPTIMIZERS = {
    "adamw": "torch.optim.adamw.AdamW",
    "adamw8bit": "bitsandbytes.optim.adamw.AdamW8bit",
    "prodigy": "prodigyopt.prodigy.Prodigy",
    "adafactor": "transformers.optimization.Adafactor",
}
SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
# Layers whose outputs, not inputs, are as wide as the model.
_WRITES_WIDTH = re.compile(r"ff(?:_context)?\.net\.2$|single_.*proj_out$|embedder$|linear_1$|^proj_out$")


@dataclass(frozen=True)
class Layer:
    """A layer that the LoRA changes: rank and sizes of its pair of matrices, A (rank, inputs) and B (outputs, rank)."""

    module: str
    rank: int
    inputs: int
    outputs: int


@dataclass(frozen=True)
class LoraHeader:
    """What a LoRA file says about itself. `width` is the hidden size of the base that it was trained on, `rank` the
    usual one of its layers, `text` the tensors for text encoders (which are not trained here and not used)."""

    name: str
    family: str
    style: str
    base_key: str
    base_version: int | None
    trigger: str
    rank: int
    width: int
    tensors: int
    size_bytes: int
    tensor_hash: str
    layers: tuple[Layer, ...]
    text: tuple[str, ...]
    metadata: dict[str, str] = field(default_factory=dict)


def inspect(path: Path) -> LoraHeader:
    """Checks the header and tells what the file is. EngineError not_a_lora, lora_pickle, lora_other_family,
    lora_other_method, lora_unknown_keys or lora_wrong_shapes: a sentence that says what is wrong with the file."""
    header = read(path)
    known = recognise(header)
    found = layers(known, header.tensors)
    ours, width = _own(header.metadata), _width(found)
    return LoraHeader(
        name=(header.metadata.get("ss_output_name") or header.metadata.get("modelspec.title") or path.stem)[:200],
        family="flux1",
        style=known.style,
        base_key=str(ours.get("base_key", ""))[:40] or _base_of(width, header.metadata),
        base_version=_version(ours.get("base_version")),
        trigger=_trigger(header.metadata),
        rank=statistics.mode(layer.rank for layer in found),
        width=width,
        tensors=len(header.tensors),
        size_bytes=path.stat().st_size,
        tensor_hash=_hash_from(path, header.start),
        layers=tuple(found),
        text=tuple(known.text),
        metadata=header.metadata,
    )


def recognise(header: Header) -> lora_keys.Named:
    """Every tensor in its place. EngineError: at least one has none, so nothing of the file is used."""
    known = lora_keys.named(header.tensors)
    if known.unknown or not known.halves:
        recognised = len(header.tensors) - len(known.unknown) - len(known.text)
        raise lora_strangers.refuse(known.unknown, known.text, recognised)
    return known


def layers(known: lora_keys.Named, tensors: dict[str, Entry]) -> list[Layer]:
    """One per layer in diffusers' names, fused ones cut. EngineError lora_wrong_shapes: halves that do not match."""
    found, problems = list[Layer](), list[str]()
    for place, halves in known.halves.items():
        sizes = _sizes(place, {half: tensors[name].shape for half, name in halves.items()})
        if isinstance(sizes, str):
            problems.append(f"{place.fused if len(place.modules) > 1 else place.modules[0]} ({sizes})")
        else:
            found += sizes
    if problems:
        raise lora_strangers.misshapen(problems)
    return sorted(found, key=lambda layer: lora_keys.order(layer.module))


def _sizes(place: lora_keys.Place, shapes: dict[lora_keys.Half, tuple[int, ...]]) -> list[Layer] | str:
    """The layers of one pair of matrices, or why there are none."""
    down, up, alpha = shapes.get("A"), shapes.get("B"), shapes.get("alpha", ())
    if down is None or up is None:
        return "its other half is missing"
    if len(down) != 2 or len(up) != 2 or alpha not in {(), (1,)}:
        return f"shapes {list(down)} and {list(up)} are no pair of matrices"
    if down[0] != up[1]:
        return f"ranks {down[0]} and {up[1]} differ"
    if down[0] > MOST_RANK:
        return f"rank {down[0]} is more than any LoRA has"
    cut = [up[0]] if len(place.modules) == 1 else lora_shapes.slices(place, down[1])
    if sum(cut) != up[0]:
        return f"{up[0]} outputs, where FLUX.1 has {sum(cut)}"
    return [Layer(module, down[0], down[1], size) for module, size in zip(place.modules, cut, strict=True)]


def _width(found: list[Layer]) -> int:
    """The hidden size that most layers speak of."""
    return statistics.mode(layer.outputs if _WRITES_WIDTH.search(layer.module) else layer.inputs for layer in found)


def _base_of(width: int, metadata: dict[str, str]) -> str:
    """The base model of a file that does not name one, empty where no base here has this hidden size."""
    if width == lora_shapes.FLUX.width:
        return "flux-schnell" if "schnell" in metadata.get("modelspec.architecture", "") else "flux-dev"
    return "pocket" if width == lora_shapes.of(catalog.POCKET).width else ""


def _own(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        data = json.loads(metadata.get("isengard", "{}"))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _version(told: Any) -> int | None:
    """A number of weights that can have been published, else None: anybody may have written the header."""
    return told if type(told) is int and 0 < told < 1 << 15 else None


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
    with path.open("rb") as file:
        file.seek(start)
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_fit(header: LoraHeader, base: BaseModel) -> None:
    """EngineError lora_other_base: trained on a model of another size; lora_wrong_shapes: a layer that it lacks."""
    require_geometry(header, lora_shapes.of(Path(base.path)), base.key)


def require_geometry(header: LoraHeader, geometry: lora_shapes.Geometry, key: str) -> None:
    """As require_fit, for a base model whose files are not here."""
    if header.width != geometry.width:
        made_for = _label(header.base_key) if header.base_key else lora_strangers.made_for(header.width)
        text = f"This LoRA was trained for {made_for} ({header.width} wide), "
        text += f"but the base model is {_label(key)} ({geometry.width} wide). "
        raise EngineError("lora_other_base", text + "Choose the base it was trained on, or train it on this one.")
    if problems := [why for layer in header.layers if (why := _misfit(layer, geometry))]:
        raise lora_strangers.misshapen(problems)


def _misfit(layer: Layer, geometry: lora_shapes.Geometry) -> str:
    size = geometry.size(layer.module)
    if size is None:
        return f"{layer.module} (the base model has no such layer)"
    if size != (layer.inputs, layer.outputs):
        return f"{layer.module} ({layer.inputs} to {layer.outputs}, where the base model has {size[0]} to {size[1]})"
    return ""


def _label(key: str) -> str:
    return catalog.BASES[key].label if key in catalog.BASES else key[:40]


@dataclass(frozen=True)
class Provenance:
    """What the header of our own file tells about its making. Names only: no path of any machine goes in.

    `rank` and the weights speak of the file, where α is multiplied in; `alpha` is what the training had."""

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
    alpha: float = 0.0
    optimizer: str = "adamw"
    lr_schedule: str = "constant"


def metadata(made: Provenance, tensor_hash: str) -> dict[str, str]:
    """The header's text, as sd-scripts (`ss_*`), the SAI model spec 1.0.1 (`modelspec.*`) and diffusers name it.

    α = rank everywhere: ComfyUI reads α only from tensors, so the file holds weights that need none."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", made.title).strip("-") or "lora"
    tags = json.dumps({name: {made.trigger_word: made.images}})
    adapter = {"r": made.rank, "lora_alpha": made.rank, "target_modules": sorted(made.targets)}
    own = {
        "format": FORMAT_VERSION,
        "studio": VERSION,
        "base_key": made.base_key,
        "base_version": catalog.get(made.base_key).version,
        "family": made.family,
        "class_word": made.class_word,
        "alpha": made.alpha or made.rank,
    }
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
        "ss_optimizer": OPTIMIZERS[made.optimizer],
        "ss_lr_scheduler": SCHEDULES[made.lr_schedule],
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
