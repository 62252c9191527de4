"""Contact sheets drawn with the finished folder through the ordinary FluxPipeline: what a prompt truly gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxPipeline
from PIL import Image

PROMPTS = (
    "a photo of a woman, long blond hair, pale skin, smiling, red shirt, blue background",
    "a photo of a man, short black hair, brown skin, beard, serious, white shirt, yellow background",
    "a woman, curly auburn hair, pale skin, freckles, round green glasses, laughing, blue shirt, white background",
    "a man, bald, dark skin, moustache, surprised, yellow shirt, purple background",
    "a woman, pink bob hair, tan skin, smiling, black shirt, green background",
    "a man, spiky green hair, pale skin, laughing, red shirt, orange background",
    "a woman, grey hair in a bun, brown skin, square glasses, serious, green shirt, pink background",
    "a man, short brown hair, tan skin, red cap, smiling, blue shirt, grey background",
    "a woman, long black hair, dark skin, sunglasses, laughing, yellow shirt, orange background",
    "a photo of a man, curly blond hair, pale skin, blue beanie, smiling, green shirt, white background",
    "a woman, long blue hair, pale skin, surprised, looking left, white shirt, purple background",
    "a man, short grey hair, pale skin, top hat, serious, black shirt, blue background",
    "a woman, curly black hair, brown skin, smiling, close-up, red shirt, yellow background",
    "a man, long auburn hair, tan skin, beard, laughing, white shirt, green background",
    "a woman, short pink hair, dark skin, round glasses, looking right, blue shirt, grey background",
    "a man, bald, pale skin, beard, sunglasses, serious, red shirt, pink background",
    "a woman with auburn bob hair, freckles, smiling, yellow beanie, black shirt, blue background",
    "a man, spiky blue hair, brown skin, surprised, yellow shirt, white background",
    "a woman, smiling, green shirt, orange background",
    "a man, laughing, purple background",
    "a woman, blond hair in a bun, tan skin, serious, looking left, red shirt, green background",
    "a man, curly green hair, dark skin, black cap, smiling, white shirt, yellow background",
    "a portrait of a woman, long brown hair, pale skin, red square glasses, blue shirt, pink background",
    "a photo of a man, short blond hair, tan skin, freckles, laughing, black shirt, grey background",
    "a woman, long green hair, dark skin, red square glasses, yellow cap, smiling, black shirt, white background",
    "a man, curly black hair, brown skin, beard, top hat, laughing, yellow shirt, green background",
    "a portrait of a woman, grey bob hair, pale skin, sunglasses, blue cap, serious, red shirt, orange background",
    "a man, spiky blond hair, tan skin, moustache, red round glasses, surprised, blue shirt, purple background",
    "a woman, short black hair, brown skin, freckles, red beanie, laughing, green shirt, yellow background",
    "a photo of a man, long grey hair, dark skin, beard, green square glasses, smiling, white shirt, pink background",
    "a woman, blue hair in a bun, tan skin, black beanie, surprised, close-up, yellow shirt, grey background",
    "a man, bald, brown skin, sunglasses, top hat, serious, looking right, black shirt, blue background",
)


def load(folder: Path) -> tuple[FluxPipeline, dict[str, Any]]:
    """The pipeline in float32 and its pocket.json."""
    pipeline = FluxPipeline.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, json.loads((folder / "pocket.json").read_text())


def draw(
    pipeline: FluxPipeline, notes: dict[str, object], prompts: list[str], seed: int, size: int | None = None
) -> list[Image.Image]:
    """One picture per prompt, of Pocket's native size unless `size` says; picture i starts from noise of seed + i."""
    side = size or notes["native_size"]
    pictures: list[Image.Image] = pipeline(
        prompts, negative_prompt=[str(notes["negative_prompt"])] * len(prompts), height=side, width=side,
        true_cfg_scale=notes["true_cfg_scale"], num_inference_steps=notes["steps"],
        max_sequence_length=notes["max_sequence_length"],
        generator=[torch.Generator().manual_seed(seed + i) for i in range(len(prompts))],
    ).images  # fmt: skip
    return pictures


def paste(pictures: list[Image.Image], columns: int, side: int) -> Image.Image:
    """The pictures in rows, each enlarged to `side` pixels."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture.resize((side, side), Image.Resampling.BICUBIC), (i % columns * side, i // columns * side))
    return sheet


def draw_sheet(folder: Path, out: Path, seed: int = 0, size: int | None = None) -> None:
    """PROMPTS in order, eight to a row, as a PNG of 256 colours."""
    pipeline, notes = load(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    paste(draw(pipeline, notes, list(PROMPTS), seed, size), 8, 128).quantize(256).save(out, optimize=True)
