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

from isengard.engine.rundir import replacing
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
        self.lora.load(weights)
        self.optimizer.state.clear()
        self.optimizer.state.update(moments)
        self.noise.set_state(tensors["rng.noise"])
        torch.set_rng_state(tensors["rng.torch"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])
        version, words, gauss = facts["python"]
        random.setstate((version, tuple(words), gauss))
        _set_numpy_state(facts["numpy"])
        self.step, self.batches, self.seconds = facts["step"], facts["batches"], facts["seconds"]

    def _moments(self, step: int, tensors: dict[str, torch.Tensor]) -> dict[torch.nn.Parameter, dict[str, Any]]:
        found: dict[torch.nn.Parameter, dict[str, Any]] = {}
        if step == 0:
            return found
        for key, parameter in self.lora.named().items():
            moments = {name: tensors[f"{name}.{key}"].to(parameter.device) for name in MOMENTS}
            found[parameter] = {"step": torch.tensor(float(step), device=parameter.device), **moments}
        return found


def _numpy_state() -> list[Any]:
    kind, words, place, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002  the global one is the point
    return [kind, [int(word) for word in words], place, has_gauss, gauss]


def _set_numpy_state(state: list[Any]) -> None:
    kind, words, place, has_gauss, gauss = state
    np.random.set_state((kind, np.array(words, dtype=np.uint32), place, has_gauss, gauss))  # noqa: NPY002
