"""A training's pictures and captions as tensors, computed once and kept on disk under the name of what made them.

Latents are named by the autoencoder's fingerprint, the file's SHA-256 and the size; class pictures by everything that
draws them. Knows files and families; no optimizer, no Django."""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from isengard.engine import memory, sampling
from isengard.engine.errors import EngineError
from isengard.engine.events import Sink, Stop
from isengard.engine.families.base import Embeds, Family
from isengard.engine.pipelines import PromptCache, read_tensors, write_tensors
from isengard.engine.specs import TrainImage, TrainSpec

LONGEST_SIDE = 2  # times the resolution: beyond that a picture is cropped rather than squeezed into a ribbon
CLASS_SEED = 1_000_000  # class pictures must not share noise with the previews' small seeds


@dataclass(frozen=True)
class Pair:
    """One training pair on the device: latents (C, h, w) and the embeddings of its caption (batch 1)."""

    latents: torch.Tensor
    embeds: Embeds


@dataclass(frozen=True)
class Dataset:
    """`images` of the person, `classes` of others like it (may be empty), `empty` the embeddings of no caption."""

    images: list[Pair]
    classes: list[Pair]
    empty: Embeds

    def buckets(self) -> list[list[int]]:
        """Indices of pictures with one shape."""
        found: dict[torch.Size, list[int]] = defaultdict(list)
        for index, pair in enumerate(self.images):
            found[pair.latents.shape].append(index)
        return list(found.values())


def bucket_size(width: int, height: int, resolution: int, multiple: int) -> tuple[int, int]:
    """Width and height in pixels nearest the picture's aspect, multiples of `multiple`, area about resolution²."""
    ratio, best = width / height, (multiple, multiple)
    missed = float("inf")
    for columns in range(1, LONGEST_SIDE * resolution // multiple + 1):
        rows = max(1, round(resolution**2 / multiple**2 / columns))
        off = abs(np.log(columns / rows / ratio))
        if rows * multiple <= LONGEST_SIDE * resolution and off < missed:
            best, missed = (columns * multiple, rows * multiple), off
    return best


def load_pixels(image: TrainImage, resolution: int, multiple: int) -> torch.Tensor:
    """(1, 3, H, W) in [-1, 1]: resized by Lanczos to cover its bucket, then cropped in the middle; never distorted.

    EngineError image_unreadable: the file is gone or is no picture."""
    try:
        with Image.open(image.path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError):
        name = Path(image.path).name
        text = f"The training picture {name} cannot be read any more. Remove it from the dataset and upload it again."
        raise EngineError("image_unreadable", text) from None
    size = bucket_size(*picture.size, resolution, multiple)
    fitted = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None]
    return pixels.float() / 127.5 - 1


def class_caption(class_word: str) -> str:
    """The caption of class pictures: what the person is, without the name."""
    word = class_word.strip() or "person"
    return f"a photo of {'an' if word[0].lower() in 'aeiou' else 'a'} {word}"


class Preparation:
    """Makes the dataset of one training, from the cache where it can. Stops between pictures when told to (Stopped)."""

    def __init__(self, spec: TrainSpec, family: Family, sink: Sink, stop: Stop) -> None:
        self.spec, self.family, self.sink, self.stop = spec, family, sink, stop
        self.cache = Path(spec.cache_dir)
        self.prompts = PromptCache(family, self.cache)
        self.autoencoder = family.fingerprint("vae")
        self.hits = 0
        self._progress = sampling.Throttle(sampling.PROGRESS_SECONDS)

    def run(self) -> Dataset:
        """Text encoders are gone afterwards; the autoencoder stays for the previews."""
        images = self.spec.images
        total = 2 * len(images) + self.spec.params["class_images"]
        embeds = [self._caption(image, index, total) for index, image in enumerate(images)]
        empty, others = self.prompts.get(""), self.prompts.get(class_caption(self.spec.class_word))
        self.prompt_embeds = [self.prompts.get(prompt) for prompt in self.spec.prompts]
        self.family.free("text")
        latents = [self._latents(image, len(images) + index, total) for index, image in enumerate(images)]
        pairs = [Pair(tensor, words) for tensor, words in zip(latents, embeds, strict=True)]
        return Dataset(pairs, self._class_pairs(others, empty, total), empty)

    def _tell(self, done: int, total: int, message: str) -> None:
        if self.stop():
            raise sampling.Stopped
        if done == total or self._progress():
            self.sink("progress", step=done, total=total, message=message)

    def _caption(self, image: TrainImage, index: int, total: int) -> Embeds:
        embeds = self.prompts.get(image.caption)
        self._tell(index + 1, total, "Reading captions")
        return embeds

    def _latents(self, image: TrainImage, index: int, total: int) -> torch.Tensor:
        resolution = self.spec.params["resolution"]
        key = _key(self.autoencoder, image.sha256, resolution, self.family.multiple)
        path = self.cache / "latents" / f"{key}.safetensors"
        found = read_tensors(path)
        if found is None:
            found = {"latents": self._encode(image, resolution)}
            write_tensors(path, found)
        else:
            self.hits += 1
        self._tell(index + 1, total, "Encoding pictures")
        return found["latents"].to(self.family.device)

    def _encode(self, image: TrainImage, resolution: int) -> torch.Tensor:
        pixels = load_pixels(image, resolution, self.family.multiple)
        return self.family.encode_images(pixels)[0].cpu()

    def _class_pairs(self, embeds: Embeds, empty: Embeds, total: int) -> list[Pair]:
        count = self.spec.params["class_images"]
        if not count:
            return []
        self.sink("stage", stage="preparing_dataset", message=f"Drawing {count} pictures of others")
        usual, resolution = sampling.usual_look(self.spec.base.key), self.spec.params["resolution"]
        side = max(resolution // self.family.multiple, 1) * self.family.multiple
        look = sampling.Look(side, side, usual.steps, usual.guidance)
        first, at_once = CLASS_SEED + self.spec.params["seed"], memory.drawing_batch(Path(self.spec.base.path))
        pairs: list[Pair] = []
        for start in range(0, count, at_once):
            seeds = range(first + start, first + min(start + at_once, count))
            pairs += [Pair(latents, embeds) for latents in self._class_latents(embeds, empty, look, seeds)]
            self._tell(2 * len(self.spec.images) + len(pairs), total, "Drawing pictures of others")
        return pairs

    def _class_latents(self, embeds: Embeds, empty: Embeds, look: sampling.Look, seeds: range) -> torch.Tensor:
        """The base's own idea of such people. Its latents are used as drawn: decoding and encoding would only blur."""
        versions = (self.family.fingerprint("transformer"), self.family.fingerprint("text"))
        key = _key(*versions, class_caption(self.spec.class_word), seeds, look)
        path = self.cache / "classes" / f"{key}.safetensors"
        found = read_tensors(path)
        if found is None:
            latents = sampling.draw(self.family, embeds, empty, seeds=seeds, look=look, on_step=self._stop_here)
            found = {"latents": latents.cpu()}
            write_tensors(path, found)
        return found["latents"].to(self.family.device)

    def _stop_here(self, _step: int, _steps: int, _clean: object) -> None:
        if self.stop():
            raise sampling.Stopped


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()
