"""Everything needed to resume a training, as one object and one file; the only place that knows the names in it.

safetensors and JSON, never pickle: a state from anywhere cannot run code. Knows no model and no Django."""

import json
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from isengard.engine import fitting, parameters, rundir
from isengard.engine.errors import EngineError
from isengard.engine.events import Sink
from isengard.engine.rundir import replacing
from isengard.engine.specs import TrainImage, TrainSpec
from isengard.engine.trainer import optimizers
from isengard.engine.trainer.average import Average
from isengard.engine.trainer.lora import Lora

FORMAT = 1
NO_SLOTS = {"rng", "lora", "average"}
# What a resumed training may do differently and still be the same training.
CADENCE = {
    "sample_every_n_steps",
    "sample_count",
    "sample_prompts",
    "checkpoint_every_n_steps",
    "max_checkpoints",
    "steps",
    "steps_per_image",
}
# How a step is computed, not what it computes.
HARMLESS = {"gradient_checkpointing"}
# What a training that goes on with another's state may change beside that, where somebody asked for it.
CALMER = {"learning_rate"}
Tensors = dict[str, torch.Tensor]
Facts = dict[str, Any]


NOT_LONGER = (
    "The earlier training's saved state is missing, damaged or of other settings, so its steps cannot go on. Begin it "
    "anew, or start a new version from its LoRA or from one of its checkpoints."
)


class BadState(Exception):
    """A state that cannot be resumed from; the message says why."""


class TrainState:
    """The moving parts of a training. `noise` draws everything random in the loop, on the CPU."""

    def __init__(
        self, lora: Lora, optimizer: torch.optim.Optimizer, average: Average, seed: int, recipe: dict[str, Any]
    ) -> None:
        self.lora, self.optimizer, self.average = lora, optimizer, average
        self.noise = torch.Generator("cpu").manual_seed(seed)
        self.step = 0
        self.batches = 0  # position in the batch plan
        self.baseline = False  # whether the pictures from before the training are drawn
        self.seconds = 0.0
        self.recent: list[float] = []  # the last losses, oldest first
        self.losses: dict[int, float] = {}  # of each checkpoint: the mean of the last before it
        self._recipe = json.dumps(recipe, sort_keys=True)

    def save(self, path: Path) -> None:
        facts, tensors = self.pack()
        header = {"isengard_state": json.dumps(facts), "recipe": self._recipe}
        with replacing(path) as part:
            save_file(tensors, part, metadata=header)

    def load(self, path: Path, changed: Collection[str] = ()) -> None:
        """Takes everything over, or nothing. BadState: damaged, or of a training with other settings.

        `changed`: names of parameters that may differ beside those that change no result."""
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                if not _alike(header["recipe"], self._recipe, HARMLESS.union(changed)):
                    raise BadState("it belongs to a training with other settings")
                facts = json.loads(header["isengard_state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
            self.take(facts, tensors)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
            raise BadState(f"it is damaged ({type(error).__name__})") from error

    def pack(self) -> tuple[Facts, Tensors]:
        """Everything, as JSON and as tensors on the CPU that later steps do not change."""
        facts = {"format": FORMAT, "step": self.step, "batches": self.batches, "seconds": self.seconds}
        facts["baseline"] = self.baseline
        chance = {"python": random.getstate(), "numpy": _numpy_state()}
        losses = {"recent": self.recent, "losses": list(self.losses.items())}
        tensors = {"rng.noise": self.noise.get_state(), "rng.torch": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        tensors |= {f"lora.{key}": weight.detach() for key, weight in self.lora.named().items()}
        tensors |= {f"average.{key}": kept for key, kept in self.average.kept.items()}
        kept, numbers = self._optimizer_state()
        stored = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in (tensors | kept).items()}
        return {**facts, **chance, **losses, "optimizer": numbers}, stored

    def _optimizer_state(self) -> tuple[Tensors, Facts]:
        """Tensors under `<its own name>.<export key>`; numbers, those of each parameter and those of all."""
        found = optimizers.slots(self.optimizer, self.lora.named())
        tensors = {f"{slot}.{key}": value for (key, slot), value in found.items() if isinstance(value, torch.Tensor)}
        numbers = [[key, slot, value] for (key, slot), value in found.items() if not isinstance(value, torch.Tensor)]
        return tensors, {"each": numbers, "all": optimizers.options(self.optimizer)}

    def take(self, facts: Facts, tensors: Tensors) -> None:
        """The way back from `pack`. ValueError, KeyError and others: something is missing or damaged, and nothing was
        taken."""
        weights = {name.removeprefix("lora."): value for name, value in tensors.items() if name.startswith("lora.")}
        averages = {key: tensors[f"average.{key}"] for key in self.average.kept}
        found = self._found(facts, tensors)
        if facts["format"] != FORMAT or not all(torch.isfinite(value).all() for value in weights.values()):
            raise ValueError("format")
        noise = torch.Generator("cpu")
        noise.set_state(tensors["rng.noise"])
        torch.set_rng_state(tensors["rng.torch"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])
        version, words, gauss = facts["python"]
        random.setstate((version, tuple(words), gauss))
        _set_numpy_state(facts["numpy"])
        losses = {int(step): float(loss) for step, loss in facts.get("losses", [])}
        # Whatever is wrong with the file has been found by now: from here on nothing fails half-way.
        self.lora.load(weights)
        self.average.load(averages)
        optimizers.restore(self.optimizer, self.lora.named(), found, facts.get("optimizer", {}).get("all", {}))
        self.noise, self.losses, self.recent = noise, losses, list(facts.get("recent", []))
        self.step, self.batches, self.seconds = facts["step"], facts["batches"], facts["seconds"]
        # Older states were only saved after a step when it was drawn before.
        self.baseline = bool(facts.get("baseline", self.step > 0))

    def _found(self, facts: Facts, tensors: Tensors) -> optimizers.Slots:
        """What the optimizer kept for each parameter."""
        keys = self.lora.named()
        found: optimizers.Slots = {}
        for name, value in tensors.items():
            slot, _, key = name.partition(".")
            if slot not in NO_SLOTS and key in keys:
                found[key, slot] = value
        found |= {(key, slot): value for key, slot, value in facts.get("optimizer", {}).get("each", [])}
        if facts["step"] and {key for key, _ in found} != set(keys):
            raise ValueError("optimizer")
        if "optimizer" not in facts and facts["step"]:
            # Written before other optimizers than AdamW were known: its count of steps was left out.
            found |= {(key, "step"): torch.tensor(float(facts["step"])) for key in keys}
        return found


def recipe_of(spec: TrainSpec, base: str) -> dict[str, Any]:
    """What must be the same for a state to be resumed; how often to sample or save may change. `base`: fingerprint of
    the denoiser. Knobs at what they meant before they existed are left out, so that older states still fit."""
    said = {name: value for name, value in spec.params.items() if parameters.BEFORE.get(name) != value}
    params = {name: value for name, value in said.items() if name not in CADENCE}
    images = [_identity(image) for image in spec.images]
    return {"params": params, "images": images, "words": [spec.trigger_word, spec.class_word], "base": base}


def _identity(image: TrainImage) -> list[Any]:
    """What makes a training picture the same one: its file, its words, its crop and what its mask shows."""
    more = [list(image.crop)] if image.crop else []
    return [image.sha256, image.caption, *more, *([fitting.digest(image.mask)] if image.mask else [])]


def resume(state: TrainState, spec: TrainSpec, sink: Sink) -> bool:
    """Takes up the named state, else the newest sound one; False (with a word in the log) means from the start.

    EngineError state_unusable: a training that was to go on with another's steps must not silently start over.
    What an abandoned attempt wrote about later steps is deleted, so that the newest file is always the truth."""
    run_dir = Path(spec.run_dir)
    changed = CALMER if spec.start == "longer" else ()
    found = spec.resume_from is not None and _first_sound(state, Path(spec.resume_from), run_dir, sink, changed)
    if spec.start == "longer" and not found:
        raise EngineError("state_unusable", NOT_LONGER)
    for path in (*rundir.states(run_dir), *rundir.checkpoints(run_dir)):
        if rundir.step_of(path) > state.step:
            path.unlink()
    return found


def _first_sound(state: TrainState, named: Path, run_dir: Path, sink: Sink, changed: Collection[str]) -> bool:
    others = [path for path in reversed(rundir.states(run_dir)) if path != named]
    for path in [named, *others]:
        try:
            state.load(path, changed)
        except BadState as error:
            text = f"The saved state {path.name} cannot be resumed: {error}."
            sink("log", level="warning", event="state_refused", message=text, fields={"state": path.name})
            continue
        text = f"Going on after step {state.step}"
        sink("log", level="info", event="resumed", message=text, fields={"step": state.step})
        return True
    sink("log", level="warning", event="restarted", message="No saved state could be used: starting over", fields={})
    return False


def _alike(one: str, other: str, free: Collection[str]) -> bool:
    """Whether two recipes are the same but for the parameters named in `free`."""
    recipes = [json.loads(one), json.loads(other)]
    for recipe in recipes:
        recipe["params"] = {name: value for name, value in recipe["params"].items() if name not in free}
    return bool(recipes[0] == recipes[1])


def _numpy_state() -> list[Any]:
    kind, words, place, has_gauss, gauss = np.random.get_state(legacy=True)
    return [kind, [int(word) for word in words], place, has_gauss, gauss]


def _set_numpy_state(state: list[Any]) -> None:
    kind, words, place, has_gauss, gauss = state
    np.random.set_state((kind, np.array(words, dtype=np.uint32), place, has_gauss, gauss))
