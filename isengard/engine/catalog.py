"""The base models we know, as facts: what they are, where their files lie, which knobs they have. Imports no torch.

A family (families/) is code; a base is data for it. Adding a base of a known family is one entry here."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from isengard.engine import parameters
from isengard.engine.errors import EngineError
from isengard.engine.params import Param

Guidance = Literal["embedded", "true_cfg", "none"]

POCKET = Path(__file__).parent / "pocket" / "weights"
NON_COMMERCIAL = "FLUX.1 [dev] Non-Commercial License"
WEIGHTS = ("transformer", "vae", "text_encoder", "text_encoder_2")
TOKENIZERS = ("tokenizer", "tokenizer_2")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "spiece.model")


@dataclass(frozen=True)
class Base:
    """One base model. `native_size`, `sizes` (those it learned, offered for training) and `multiple` (what width and
    height must be divisible by) are pixels; `steps` and `guidance_scale` are for drawing; `version` counts the weights
    that were published under this key, because a LoRA fits only those it was trained on; `distilled`: it
    learned from another model to draw in a few steps, and only so."""

    key: str
    label: str
    family: str
    repo_id: str
    licence: str
    gated: bool
    native_size: int
    sizes: tuple[int, ...]
    multiple: int
    max_sequence_length: int
    guidance: Guidance
    steps: int
    guidance_scale: float
    trainable: bool
    note: str
    version: int = 1
    distilled: bool = False


def _pocket_facts() -> dict[str, Any]:
    """What the weights say of themselves (pocket.json); while there are none, how they are built."""
    path = POCKET / "pocket.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _pocket() -> Base:
    facts = _pocket_facts()
    native = int(facts.get("native_size", 64))
    sizes = tuple(int(size) for size in facts.get("sizes", (native,)))
    return Base(
        key="pocket",
        label="Pocket",
        family="flux1",
        repo_id="",
        licence="the studio's own",
        gated=False,
        native_size=native,
        sizes=sizes,
        multiple=8,
        max_sequence_length=int(facts.get("max_sequence_length", 32)),
        guidance="true_cfg",
        steps=int(facts.get("steps", 20)),
        guidance_scale=float(facts.get("true_cfg_scale", 2.5)),
        trainable=True,
        note="A tiny model of drawn portraits with FLUX's architecture; it trains and draws on any processor. It "
        f"learned squares of {' and '.join(map(str, sizes))} pixels. FLUX's guidance input is off here: the guidance "
        "scale is true classifier-free guidance, two passes a step.",
        version=int(facts.get("version", 1)),
    )


FLUX_DEV = Base(
    key="flux-dev",
    label="FLUX.1-dev",
    family="flux1",
    repo_id="black-forest-labs/FLUX.1-dev",
    licence=NON_COMMERCIAL,
    gated=True,
    native_size=1024,
    sizes=(512, 768, 1024),
    multiple=16,
    max_sequence_length=512,
    guidance="embedded",
    steps=28,
    guidance_scale=3.5,
    trainable=True,
    note="The usual base for identity LoRAs. Its licence forbids commercial use, also of LoRAs trained on it.",
)

FLUX_SCHNELL = Base(
    key="flux-schnell",
    label="FLUX.1-schnell",
    family="flux1",
    repo_id="black-forest-labs/FLUX.1-schnell",
    licence="Apache-2.0",
    gated=False,
    native_size=1024,
    sizes=(512, 768, 1024),
    multiple=16,
    max_sequence_length=256,
    guidance="none",
    steps=4,
    guidance_scale=1.0,
    trainable=False,
    distilled=True,
    note="Draws in 4 steps. It is distilled for that, so training it needs a de-distillation adapter that is not here; "
    "a LoRA trained on FLUX.1-dev often works on it.",
)

BASES: dict[str, Base] = {base.key: base for base in (_pocket(), FLUX_DEV, FLUX_SCHNELL)}


def get(key: str) -> Base:
    """EngineError unknown_base."""
    if key not in BASES:
        known = ", ".join(BASES)
        raise EngineError("unknown_base", f"There is no base model called {key!r}. Choose one of {known}.")
    return BASES[key]


def shared(one: str, other: str) -> bool:
    """Whether a LoRA of one base may be worn on the other: one family and native size are the same network
    (FLUX.1-dev and -schnell). EngineError unknown_base."""
    first, second = get(one), get(other)
    return (first.family, first.native_size) == (second.family, second.native_size)


def training_params(key: str) -> tuple[Param, ...]:
    """What a training on this base can be told, each read by the trainer. EngineError not_trainable, unknown_base."""
    base = get(key)
    if not base.trainable:
        raise EngineError("not_trainable", f"{base.label} cannot be trained here: {base.note}")
    return parameters.pocket_training(base) if base.key == "pocket" else parameters.flux_training(base)


def generation_params(key: str) -> tuple[Param, ...]:
    """What a picture of this base can be told. Knobs that the base ignores are not there. EngineError unknown_base."""
    return parameters.generation(get(key))


def locate(key: str, models_dir: Path) -> Path:
    """The local diffusers folder of a base. EngineError base_missing: which part is missing, or what to put where."""
    base = get(key)
    found = [folder for folder in candidates(base, models_dir) if (folder / "model_index.json").is_file()]
    for folder in found:
        if not missing_parts(folder):
            return folder
    raise EngineError("base_missing", _incomplete(base, found[0]) if found else _absent(base, models_dir))


def why_missing(key: str, models_dir: Path) -> str:
    """Why the base cannot be used on this machine, empty when it can."""
    try:
        locate(key, models_dir)
    except EngineError as error:
        return error.message
    return ""


def candidates(base: Base, models_dir: Path) -> list[Path]:
    """Where a base may lie, the likeliest first."""
    if base.key == "pocket":
        return [POCKET]
    own = [models_dir / base.repo_id.split("/")[1], models_dir / base.key]
    repository = hub_cache() / f"models--{base.repo_id.replace('/', '--')}"
    return [*own, *snapshots(repository)]


def hub_cache() -> Path:
    """Where huggingface_hub keeps downloads, by its documented variables (HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME)."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def snapshots(repository: Path) -> list[Path]:
    """The snapshot that `main` names, then the others, newest first."""
    found = sorted(repository.glob("snapshots/*"), key=lambda path: path.stat().st_mtime, reverse=True)
    reference = repository / "refs" / "main"
    main = reference.read_text().strip() if reference.is_file() else ""
    return sorted(found, key=lambda path: path.name != main)


def missing_parts(folder: Path) -> tuple[str, ...]:
    """What a diffusers folder of FLUX lacks, as paths below it; empty when it is complete."""
    weights = [name for part in WEIGHTS for name in _missing_weights(folder / part)]
    words = [f"{part}/" for part in TOKENIZERS if not any((folder / part / name).is_file() for name in TOKENIZER_FILES)]
    scheduler = [] if (folder / "scheduler" / "scheduler_config.json").is_file() else ["scheduler/"]
    return (*weights, *words, *scheduler)


def _missing_weights(part: Path) -> list[str]:
    if not (part / "config.json").is_file():
        return [f"{part.name}/"]
    indexes = list(part.glob("*.safetensors.index.json"))
    if indexes:
        # A download that was cut off leaves some of the shards away (or links to nothing).
        return [f"{part.name}/{name}" for name in _shards(indexes[0]) if not (part / name).is_file()]
    whole = any(path.is_file() for path in part.glob("*.safetensors"))
    return [] if whole else [f"{part.name}/*.safetensors"]


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError):
        return [index.name + " (damaged)"]


def _incomplete(base: Base, folder: Path) -> str:
    parts = missing_parts(folder)
    more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
    return f"{base.label} in {folder} is not complete: {', '.join(parts[:3])}{more} missing. Download it again."


def _absent(base: Base, models_dir: Path) -> str:
    if base.key == "pocket":
        return "Pocket's weights are not in this copy of the studio. Get the repository again, with all its files."
    licence = " (accept its licence there first, and log in with an access token of that account)" if base.gated else ""
    return (
        f"{base.label} is not on this machine. Download {base.repo_id} from Hugging Face{licence}, as a diffusers "
        f"folder (model_index.json with its parts), into {models_dir / base.repo_id.split('/')[1]}."
    )
