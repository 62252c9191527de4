"""Everything needed to resume a training, as one object and one file; the only place that knows the names in it.

safetensors and JSON, never pickle: a state from anywhere cannot run code. Knows no model and no Django."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from isengard.engine import rundir
from isengard.engine.events import Sink
from isengard.engine.rundir import replacing
from isengard.engine.specs import TrainSpec
from isengard.engine.trainer.lora import Lora

FORMAT = 1
MOMENTS = ("exp_avg", "exp_avg_sq")


class BadState(Exception):
    """A state that cannot be resumed from; the message says why."""


class TrainState:
    """The moving parts of a training. `noise` draws everything random in the loop, on the CPU."""

    def __init__(self, lora: Lora, optimizer: torch.optim.Optimizer, seed: int, recipe: dict[str, Any]) -> None:
        self.lora, self.optimizer = lora, optimizer
        self.noise = torch.Generator("cpu").manual_seed(seed)
        self.step = 0
        self.batches = 0  # position in the batch plan
        self.seconds = 0.0
        self._recipe = json.dumps(recipe, sort_keys=True)

    def save(self, path: Path) -> None:
        facts = {"format": FORMAT, "step": self.step, "batches": self.batches, "seconds": self.seconds}
        chance = {"python": random.getstate(), "numpy": _numpy_state()}
        header = {"isengard_state": json.dumps({**facts, **chance}), "recipe": self._recipe}
        with replacing(path) as part:
            save_file(self._tensors(), part, metadata=header)

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {"rng.noise": self.noise.get_state(), "rng.torch": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        for key, parameter in self.lora.named().items():
            tensors[f"lora.{key}"] = parameter.detach()
            moments = self.optimizer.state.get(parameter, {})
            tensors |= {f"{name}.{key}": moments[name] for name in MOMENTS if name in moments}
        return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}

    def load(self, path: Path) -> None:
        """Takes everything over, or nothing. BadState: damaged, or of a training with other settings."""
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("recipe") != self._recipe:
                    raise BadState("it belongs to a training with other settings")
                facts = json.loads(header["isengard_state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
            self._take(facts, tensors)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise BadState(f"it is damaged ({type(error).__name__})") from error

    def _take(self, facts: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        weights = {name.removeprefix("lora."): value for name, value in tensors.items() if name.startswith("lora.")}
        moments = self._moments(facts["step"], tensors)
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
        # Whatever is wrong with the file has been found by now: from here on nothing fails half-way.
        self.lora.load(weights)
        self.optimizer.state.clear()
        self.optimizer.state.update(moments)
        self.noise = noise
        self.step, self.batches, self.seconds = facts["step"], facts["batches"], facts["seconds"]

    def _moments(self, step: int, tensors: dict[str, torch.Tensor]) -> dict[torch.Tensor, Any]:
        found: dict[torch.Tensor, Any] = {}
        if step == 0:
            return found
        for key, parameter in self.lora.named().items():
            moments = {name: tensors[f"{name}.{key}"].to(parameter.device) for name in MOMENTS}
            found[parameter] = {"step": torch.tensor(float(step), device=parameter.device), **moments}
        return found


def resume(state: TrainState, spec: TrainSpec, sink: Sink) -> bool:
    """Takes up the named state, else the newest sound one; False (with a word in the log) means from the start.

    What an abandoned attempt wrote about later steps is deleted, so that the newest file is always the truth."""
    run_dir = Path(spec.run_dir)
    found = spec.resume_from is not None and _first_sound(state, Path(spec.resume_from), run_dir, sink)
    for path in (*rundir.states(run_dir), *rundir.checkpoints(run_dir)):
        if rundir.step_of(path) > state.step:
            path.unlink()
    return found


def _first_sound(state: TrainState, named: Path, run_dir: Path, sink: Sink) -> bool:
    others = [path for path in reversed(rundir.states(run_dir)) if path != named]
    for path in [named, *others]:
        try:
            state.load(path)
        except BadState as error:
            text = f"The saved state {path.name} cannot be resumed: {error}."
            sink("log", level="warning", event="state_refused", message=text, fields={"state": path.name})
            continue
        text = f"Going on after step {state.step}"
        sink("log", level="info", event="resumed", message=text, fields={"step": state.step})
        return True
    sink("log", level="warning", event="restarted", message="No saved state could be used: starting over", fields={})
    return False


def _numpy_state() -> list[Any]:
    kind, words, place, has_gauss, gauss = np.random.get_state(legacy=True)
    return [kind, [int(word) for word in words], place, has_gauss, gauss]


def _set_numpy_state(state: list[Any]) -> None:
    kind, words, place, has_gauss, gauss = state
    np.random.set_state((kind, np.array(words, dtype=np.uint32), place, has_gauss, gauss))
