"""Writes what is trained as an ordinary diffusers folder: FluxPipeline.from_pretrained reads it with no code of ours.

The folder is replaced by renaming, so a reader sees the old weights or the new ones.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from transformers import CLIPTokenizer, T5Tokenizer

from isengard.engine.pocket.captions import vocabulary
from isengard.engine.pocket.reading import make_clip, make_t5
from isengard.engine.pocket.tokens import TEXT_LENGTH, clip_tokenizer, t5_tokenizer
from isengard.engine.pocket.transformer import make_transformer
from isengard.engine.pocket.vae import make_vae

VERSION = 2
STEPS = 20
TRUE_CFG = 2.5


def tokenizers() -> tuple[CLIPTokenizer, T5Tokenizer]:
    words = vocabulary()
    return clip_tokenizer(words), t5_tokenizer(words)


def assemble(build: Path) -> FluxPipeline:
    """The pipeline from the newest stage files in `build`; a stage not yet trained has its first random weights."""
    clip_tokens, t5_tokens = tokenizers()
    torch.manual_seed(0)
    clip, t5, vae, transformer = make_clip(clip_tokens), make_t5(t5_tokens), make_vae(), make_transformer()
    if (build / "readers.pt").exists():
        stored = torch.load(build / "readers.pt", map_location="cpu")
        clip.load_state_dict(stored["clip"])
        t5.load_state_dict(stored["t5"])
    if (build / "vae.pt").exists():
        vae.load_state_dict(torch.load(build / "vae.pt", map_location="cpu"))
    if (build / "transformer.pt").exists():
        transformer.load_state_dict(torch.load(build / "transformer.pt", map_location="cpu")["average"])
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=1.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=64,
        max_image_seq_len=256,
    )
    return FluxPipeline(
        scheduler=scheduler, vae=vae, text_encoder=clip, tokenizer=clip_tokens, text_encoder_2=t5,
        tokenizer_2=t5_tokens, transformer=transformer,
    )  # fmt: skip


def describe() -> dict[str, object]:
    """What a caller must know about this model and the diffusers configs cannot say (pocket.json)."""
    return {
        "version": VERSION, "native_size": 96, "sizes": [64, 96], "max_sequence_length": TEXT_LENGTH, "steps": STEPS,
        "guidance": "true_cfg", "true_cfg_scale": TRUE_CFG, "negative_prompt": "",
    }  # fmt: skip


def publish(build: Path) -> None:
    """Write the folder that build/out names, in bfloat16, and swap it in."""
    out = Path((build / "out").read_text())
    fresh, old = out.with_name(out.name + ".new"), out.with_name(out.name + ".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    pipeline = assemble(build).to(dtype=torch.bfloat16)
    pipeline.save_pretrained(fresh)
    (fresh / "pocket.json").write_text(json.dumps(describe(), indent=2) + "\n")
    if out.exists():
        out.rename(old)
    fresh.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    print(f"published {out}", flush=True)
