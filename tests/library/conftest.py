"""LoRA files of every kind, made without torch, that fit Pocket."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from characters.models import Character
from isengard.engine import catalog, lora_shapes
from tests.people import make_character

POCKET = lora_shapes.of(catalog.POCKET)
Q = "transformer_blocks.0.attn.to_q"


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isengard.jobs.doorbell.ring_queue", lambda lane: None)


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character(photos=0)


def write(path: Path, tensors: dict[str, np.ndarray], texts: dict[str, str] | None = None) -> Path:
    save_file(tensors, path, texts)
    return path


def pair(down: str, up: str, inputs: int, outputs: int, rank: int = 4, seed: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    halves = random.normal(size=(rank, inputs)), random.normal(size=(outputs, rank))
    return {name: half.astype(np.float32) for name, half in zip((down, up), halves, strict=True)}


def diffusers(path: Path, seed: int = 1, **texts: str) -> Path:
    """A LoRA on one layer of Pocket in diffusers' style."""
    stem = f"transformer.{Q}"
    width = POCKET.width
    weights = pair(f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", width, width, seed=seed)
    return write(path, weights, {name.replace("__", "."): text for name, text in texts.items()} or None)


def kohya(path: Path, more: dict[str, np.ndarray] | None = None) -> Path:
    """A LoRA on a fused layer of Pocket in kohya's style, α half of its rank."""
    stem = "lora_unet_double_blocks_0_img_attn_qkv"
    weights = pair(f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", POCKET.width, 3 * POCKET.width)
    return write(path, {**weights, f"{stem}.alpha": np.array(2, np.float32), **(more or {})}, {"ss_steps": "1200"})


def ours(version: int) -> str:
    """What our own header says of its base."""
    return json.dumps({"base_key": "pocket", "base_version": version})
