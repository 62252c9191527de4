"""One identity of the identity test: photos, a LoRA trained on them as the product trains it, pictures drawn as the
product draws them. Everything is kept as numbers in one file; judging it is identity.py's business.

Knows the trainer and the sampler; no judge, no gate.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from isengard.engine import catalog, rundir, sampling
from isengard.engine.params import clean_all
from isengard.engine.pipelines import Registry
from isengard.engine.pocket import dataset
from isengard.engine.pocket.captions import facts, say
from isengard.engine.pocket.faces import Person, Shot, person, render, shot
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef, TrainImage, TrainSpec
from isengard.engine.trainer import loop

PEOPLE, SHOTS = 950_000, 9_500_000  # neither Pocket nor the judges have seen these people or these shots
ROLES = ("trigger", "class", "other sex", "unknown", "known")
PHOTOS, PHOTO_SIDE = 8, 128
TRIGGER, STRANGER = "ohwx", "zuvi"  # the stranger's name is nobody's: not of pretraining, not of preservation
METHOD = 1  # to be raised when trainer or sampler change what comes out, so that no old picture is judged as a new one
FOUR = (1, 2, 3, 4)  # seeds of the timed pictures


@dataclass(frozen=True)
class Situation:
    """What a prompt asks for beside the person; `hat` is "none" where none is asked for."""

    expression: str
    hat: str
    shirt: str
    background: str

    def prompt(self, subject: str) -> str:
        hat = () if self.hat == "none" else (self.hat if self.hat == "top hat" else f"red {self.hat}",)
        parts = (self.expression, *hat, f"{self.shirt} shirt", f"{self.background} background")
        return f"a photo of {subject}, {', '.join(parts)}"


SITUATIONS = (
    Situation("smiling", "none", "red", "blue"),
    Situation("serious", "cap", "white", "yellow"),
    Situation("laughing", "none", "blue", "purple"),
    Situation("surprised", "beanie", "green", "pink"),
    Situation("smiling", "top hat", "black", "green"),
    Situation("serious", "none", "yellow", "grey"),
)


@dataclass(frozen=True)
class Plan:
    """What is tried: the base's folder, the training parameters, the side of the drawn pictures in pixels, and in how
    many of SITUATIONS everybody is drawn."""

    weights: str
    params: dict[str, Any]
    size: int
    situations: int = len(SITUATIONS)

    @property
    def key(self) -> str:
        """Changes when anything does that the pictures depend on."""
        said = json.dumps([
            {**asdict(self), "weights": ""}, PEOPLE, SHOTS, [asdict(each) for each in SITUATIONS], METHOD
        ])  # fmt: skip
        hashed = hashlib.sha256(said.encode())
        for path in sorted(Path(self.weights).rglob("*.safetensors")):
            hashed.update(path.read_bytes())
        return hashed.hexdigest()[:12]


def default_params() -> dict[str, Any]:
    """The default recipe for Pocket, as the studio's form starts with it."""
    return clean_all(catalog.training_params("pocket"), {})


def who(index: int) -> Person:
    return person(PEOPLE + index)


def how(index: int, number: int) -> Shot:
    """Shot `number` of an identity: the first PHOTOS are trained on, later ones are for the judges."""
    return shot(SHOTS + 100 * index + number)


def subjects(index: int) -> dict[str, str]:
    """Whom the pictures are asked for: role → words."""
    own = who(index).sex
    other = "man" if own == "woman" else "woman"
    known = dataset.names()[index % dataset.NAMED]
    return dict(zip(ROLES, (TRIGGER, f"a {own}", f"a {other}", STRANGER, known), strict=True))


def caption(index: int, number: int) -> str:
    """As the product captions a photo: what varies is told, "a woman" is replaced by the trigger."""
    rng = np.random.default_rng([PEOPLE + index, number])
    text = say(facts(who(index), how(index, number)), rng, None, looks=False)[0]
    return text.replace(f"a {who(index).sex}", TRIGGER, 1)


def photo(index: int, number: int) -> Image.Image:
    return render(who(index), how(index, number), PHOTO_SIDE)


def run(plan: Plan, index: int, out: Path) -> None:
    """Trains and draws one identity and writes `out` (npz):

    photos (PHOTOS, PHOTO_SIDE, PHOTO_SIDE, 3), lora and base (subjects, situations, size, size, 3) as uint8; seconds of
    the whole training, of its processor time, and of four warm pictures as `training`, `cpu`, `four`."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="pocket-identity-") as name:
        folder, cpu = Path(name), time.process_time()
        result = loop.train(_train_spec(plan, index, folder), _silent, lambda: False)
        cpu = time.process_time() - cpu
        lora = LoraRef(result["path"], result["sha256"], 1.0)
        artist = _Artist(plan, folder)
        drawn, base = artist.all_of(index, (lora,)), artist.all_of(index, ())
        four = artist.seconds_of_four(lora)
    photos = np.stack([np.asarray(photo(index, number)) for number in range(PHOTOS)])
    with rundir.replacing(out) as part, part.open("wb") as file:
        times = {
            name: np.array(value) for name, value in (("training", result["seconds"]), ("cpu", cpu), ("four", four))
        }
        np.savez_compressed(file, allow_pickle=False, photos=photos, lora=drawn, base=base, **times)


def _base(plan: Plan) -> BaseModel:
    return BaseModel("pocket", "flux1", plan.weights)


def _silent(_type: str, /, **_fields: Any) -> None:
    """A sink for what is not measured."""


def _train_spec(plan: Plan, index: int, folder: Path) -> TrainSpec:
    images = tuple(_image(index, number, folder) for number in range(PHOTOS))
    prompts = tuple(each.prompt(TRIGGER) for each in SITUATIONS)[: plan.params["sample_count"]]
    return TrainSpec(
        job=f"identity-{index}",
        base=_base(plan),
        run_dir=str(folder / "run"),
        cache_dir=str(folder / "cache"),
        images=images,
        trigger_word=TRIGGER,
        class_word=who(index).sex,
        prompts=prompts,
        params=plan.params,
    )


def _image(index: int, number: int, folder: Path) -> TrainImage:
    path = folder / f"{number}.png"
    photo(index, number).save(path)
    return TrainImage(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), caption(index, number))


class _Artist:
    """Draws through sampling.generate, with a warm model as the engine keeps it."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder, self.registry = plan, folder, Registry()
        notes = json.loads((Path(plan.weights) / "pocket.json").read_text())
        look = {"steps": notes["steps"], "guidance_scale": notes["true_cfg_scale"]}
        params = {"width": plan.size, "height": plan.size, "negative_prompt": notes["negative_prompt"], **look}
        out, cache = str(folder / "pictures"), str(folder / "cache")
        self.spec = GenerateSpec("identity", _base(plan), out, cache, "", (0,), params, preview=False)

    def _draw(self, prompt: str, seeds: tuple[int, ...], loras: tuple[LoraRef, ...]) -> list[np.ndarray]:
        spec = replace(self.spec, prompt=prompt, seeds=seeds, loras=loras)
        outputs = sampling.generate(spec, _silent, lambda: False, self.registry)["outputs"]
        return [np.asarray(Image.open(output["path"])) for output in outputs]

    def all_of(self, index: int, loras: tuple[LoraRef, ...]) -> np.ndarray:
        """(subjects, situations, size, size, 3); each situation has one seed for everybody."""
        chosen = SITUATIONS[: self.plan.situations]
        rows = [
            [self._draw(each.prompt(words), (100 * index + place,), loras)[0] for place, each in enumerate(chosen)]
            for words in subjects(index).values()
        ]
        return np.array(rows)

    def seconds_of_four(self, lora: LoraRef) -> float:
        began = time.perf_counter()
        self._draw(SITUATIONS[0].prompt(TRIGGER), FOUR, (lora,))
        return time.perf_counter() - began
