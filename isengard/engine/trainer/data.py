"""A training's pictures and captions as tensors, computed once and kept on disk under the name of what made them.

Latents are named by the autoencoder's fingerprint, the file's SHA-256 and the size; class pictures by everything that
draws them. Knows files and families; no optimizer, no Django."""

import hashlib
import json
import random
import re
import string
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from isengard.engine import fitting, memory, sampling
from isengard.engine.events import Sink, Stop
from isengard.engine.families.base import Embeds, Family
from isengard.engine.fitting import Bucket
from isengard.engine.pipelines import PromptCache, read_tensors, write_tensors
from isengard.engine.specs import TrainImage, TrainSpec
from isengard.engine.trainer.checks import Checks, round_trip
from isengard.engine.words import counted

NO_MASK = 1.0  # the background's weight in trainings that were frozen before there were masks
STRANGERS = 3  # made-up names for each picture: enough of them, and names in general are kept
CLASS_SEED = 1_000_000  # class pictures must not share noise with the previews' small seeds
Weights = torch.Tensor | None


@dataclass(frozen=True)
class Pair:
    """One training pair on the device: latents (C, h, w), the embeddings of its caption (batch 1), and what each cell's
    error counts (1, h, w), None where all count alike.

    `others` are captions of the same picture with somebody else in it: what preservation keeps as it is."""

    latents: torch.Tensor
    embeds: Embeds
    weights: Weights = None
    others: tuple[Embeds, ...] = ()


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


def load_pixels(image: TrainImage, resolution: int, multiple: int) -> torch.Tensor:
    """(1, 3, H, W) in [-1, 1]: the crop, scaled to cover its bucket. EngineError image_unreadable."""
    fitted = fitting.picture(image.path, Bucket(resolution, multiple), image.crop)
    pixels = torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None]
    return pixels.float() / 127.5 - 1


def load_weights(image: TrainImage, bucket: Bucket, latents: torch.Tensor, background: float) -> Weights:
    """(1, h, w) for latents (C, h, w): how much each cell's error counts, 1 on average; None where all count alike.

    `background` is the weight of what the mask leaves black, relative to the person's 1. Each picture's weights are
    divided by their mean, as OneTrainer does with "normalize masked area loss" (ai-toolkit: by the batch's mean), so
    that a small face teaches as strongly as a large one and the learning rate means the same with and without masks."""
    if image.mask is None or background >= 1:
        return None
    cells = (latents.shape[-1], latents.shape[-2])
    person = fitting.mask(image.mask, image.path, bucket, cells, image.crop)
    share = torch.from_numpy(np.array(person)).float()[None] / 255
    weights = background + (1 - background) * share
    # A crop that shows nothing of the person would divide by zero: then there is nothing to prefer.
    return weights / weights.mean() if share.any() else None


def class_caption(caption: str, trigger: str, class_word: str) -> str:
    """A caption with somebody else in it: "a photo of ohwx, smiling" → "a photo of a woman, smiling".

    So the name is all that tells the two halves of a batch apart (measured on Pocket: with one bare caption for all
    class pictures, the name alone stayed nearer to the class than to the person)."""
    word = class_word.strip() or "person"
    return _somebody_else(caption, trigger, word, f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}")


def stranger_caption(caption: str, trigger: str, class_word: str, seed: str) -> str:
    """The same with a made-up name, always the same one for a seed: "a photo of ohwx" → "a photo of kelu"."""
    return _somebody_else(caption, trigger, class_word.strip() or "person", stranger(trigger, seed))


def stranger(trigger: str, seed: str) -> str:
    """A name that nobody has: any four letters, never the trigger."""
    chooser = random.Random(f"stranger {seed}")
    name = "".join(chooser.choices(string.ascii_lowercase, k=4))
    return name if name != trigger else stranger(trigger, f"{seed} again")


def _somebody_else(caption: str, trigger: str, word: str, other: str) -> str:
    name = rf"(?<!\w)(?:an? )?{re.escape(trigger)}(?: {re.escape(word)})?(?!\w)"
    said, found = re.subn(name, lambda _: other, caption)
    return said if trigger and found else f"a photo of {other}"


class Preparation:
    """Makes the dataset of one training, from the cache where it can. Stops between pictures when told to (Stopped)."""

    def __init__(self, spec: TrainSpec, family: Family, sink: Sink, stop: Stop) -> None:
        self.spec, self.family, self.sink, self.stop = spec, family, sink, stop
        self.checks = Checks(sink)
        self.cache = Path(spec.cache_dir)
        self.prompts = PromptCache(family, self.cache)
        self.autoencoder = family.fingerprint("vae")
        self.hits = 0
        self._progress = sampling.Throttle(sampling.PROGRESS_SECONDS)

    def run(self) -> Dataset:
        """Text encoders are gone afterwards; the autoencoder stays for the previews. Each part is a tick."""
        images = self.spec.images
        total = 2 * len(images) + self.spec.params["class_images"]
        with self.checks.tick("text", "Reading captions") as tick:
            embeds = [self._caption(image, index, total) for index, image in enumerate(images)]
            empty = self.prompts.get("")
            others = [self._others(image, index) for index, image in enumerate(images)]
            classes = self._class_captions()
            for caption in classes:
                self.prompts.get(caption)  # while the encoders are here
            self.prompt_embeds = [self.prompts.get(prompt) for prompt in self.spec.prompts]
            self.family.free("text")
            tick.text = f"{counted(len(images), 'caption')} and {counted(len(self.spec.prompts), 'prompt')} were read"
        with self.checks.tick("photos", "Reading photos") as tick:
            latents = [self._latents(image, len(images) + index, total) for index, image in enumerate(images)]
            weights = [self._weights(image, tensor) for image, tensor in zip(images, latents, strict=True)]
            tick.text = f"{len(images)} pictures ready, {self.hits} of them from the cache"
        with self.checks.tick("vae", "Encoding a photo and decoding it again") as tick:
            round_trip(self.family, self._pixels(images[0]), tick)
        pairs = [Pair(*pair) for pair in zip(latents, embeds, weights, others, strict=True)]
        return Dataset(pairs, self._class_pairs(classes, empty, total), empty)

    def _tell(self, done: int, total: int, message: str) -> None:
        if self.stop():
            raise sampling.Stopped
        if done == total or self._progress():
            self.sink("progress", step=done, total=total, message=message)

    def _caption(self, image: TrainImage, index: int, total: int) -> Embeds:
        embeds = self.prompts.get(image.caption)
        self._tell(index + 1, total, "Reading captions")
        return embeds

    def _others(self, image: TrainImage, index: int) -> tuple[Embeds, ...]:
        """What preservation keeps as it is: the class (twice as often), names that nobody has, no caption."""
        if not self.spec.params["preservation"]:
            return ()
        words, seed = (self.spec.trigger_word, self.spec.class_word), f"{self.spec.params['seed']} {index}"
        names = [stranger_caption(image.caption, *words, f"{seed} {number}") for number in range(STRANGERS)]
        captions = [*[class_caption(image.caption, *words)] * 2, *names, ""]
        return tuple(self.prompts.get(caption) for caption in captions)

    def _latents(self, image: TrainImage, index: int, total: int) -> torch.Tensor:
        resolution = self.spec.params["resolution"]
        key = _key(self.autoencoder, image.sha256, resolution, self.family.multiple, *(image.crop or ()))
        path = self.cache / "latents" / f"{key}.safetensors"
        found = read_tensors(path)
        if found is None:
            found = {"latents": self.family.encode_images(self._pixels(image))[0].cpu()}
            write_tensors(path, found)
        else:
            self.hits += 1
        self._tell(index + 1, total, "Encoding pictures")
        return found["latents"].to(self.family.device)

    def _pixels(self, image: TrainImage) -> torch.Tensor:
        return load_pixels(image, self.spec.params["resolution"], self.family.multiple)

    def _weights(self, image: TrainImage, latents: torch.Tensor) -> Weights:
        bucket = Bucket(self.spec.params["resolution"], self.family.multiple)
        found = load_weights(image, bucket, latents, self.spec.params.get("masked_loss", NO_MASK))
        return None if found is None else found.to(self.family.device)

    def _class_captions(self) -> list[str]:
        """One for each class picture, the training captions in turn."""
        words, images = (self.spec.trigger_word, self.spec.class_word), self.spec.images
        captions = [class_caption(image.caption, *words) for image in images]
        return [captions[index % len(captions)] for index in range(self.spec.params["class_images"])]

    def _class_pairs(self, captions: list[str], empty: Embeds, total: int) -> list[Pair]:
        if not captions:
            return []
        self.sink("stage", stage="preparing_dataset", message=f"Drawing {len(captions)} pictures of others")
        at_once = memory.drawing_batch(Path(self.spec.base.path))
        pairs: list[Pair] = []
        for start in range(0, len(captions), at_once):
            some = captions[start : start + at_once]
            words = [self.prompts.get(caption) for caption in some]
            latents = self._class_latents(some, words, empty, CLASS_SEED + self.spec.params["seed"] + start)
            pairs += [Pair(picture, said, others=(said,)) for picture, said in zip(latents, words, strict=True)]
            self._tell(2 * len(self.spec.images) + len(pairs), total, "Drawing pictures of others")
        return pairs

    def _class_look(self) -> sampling.Look:
        usual, multiple = sampling.usual_look(self.spec.base.key), self.family.multiple
        side = max(self.spec.params["resolution"] // multiple, 1) * multiple
        return sampling.Look(side, side, usual.steps, usual.guidance)

    def _class_latents(self, captions: list[str], words: list[Embeds], empty: Embeds, seed: int) -> torch.Tensor:
        """The base's own idea of such people. Its latents are used as drawn: decoding and encoding would only blur."""
        look, versions = self._class_look(), [self.family.fingerprint(part) for part in ("transformer", "text")]
        path = self.cache / "classes" / f"{_key(*versions, captions, seed, look)}.safetensors"
        found = read_tensors(path)
        if found is None:
            embeds = {name: torch.cat([said[name] for said in words]) for name in empty}
            seeds = range(seed, seed + len(captions))
            latents = sampling.draw(self.family, embeds, empty, seeds=seeds, look=look, on_step=self._stop_here)
            found = {"latents": latents.cpu()}
            write_tensors(path, found)
        return found["latents"].to(self.family.device)

    def _stop_here(self, _step: int, _steps: int, _clean: object) -> None:
        if self.stop():
            raise sampling.Stopped


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()
