"""The optimizers by their names in parameters.py, and their whole state as tensors and plain numbers for resuming.

Knows torch and the libraries; no model, no files, no Django."""

from collections.abc import Mapping
from typing import Any

import torch

from isengard.engine.trainer.adamw8bit import AdamW8bit

Named = Mapping[str, torch.nn.Parameter]
# What an optimizer keeps, by parameter name and by its own name for it; numbers stay numbers.
Slots = dict[tuple[str, str], Any]


def make(name: str, weights: list[torch.nn.Parameter], rate: float, decay: float) -> torch.optim.Optimizer:
    """`name`: a choice of parameters.OPTIMIZER."""
    if name == "adamw8bit":
        return AdamW8bit(weights, rate, decay)
    if name == "prodigy":
        from prodigyopt import Prodigy

        # Safe with a warm-up; without the correction of the bias, which keeps the rate near nothing for the first
        # hundred steps (measured on Pocket, docs/log.md).
        found: torch.optim.Optimizer = Prodigy(weights, lr=rate, weight_decay=decay, safeguard_warmup=True)
        return found
    if name == "adafactor":
        from transformers.optimization import Adafactor

        # The rate as given, so that it means what it means for AdamW; the library's own depends on the weights' size.
        factored: torch.optim.Optimizer = Adafactor(
            weights, lr=rate, weight_decay=decay, scale_parameter=False, relative_step=False, warmup_init=False
        )
        return factored
    return torch.optim.AdamW(weights, rate, weight_decay=decay, fused=True)


def weights_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """What it trains, without a walk through the whole model, which costs a step some milliseconds."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The learning rate of the last step; with Prodigy, the rate it found times the factor it was given."""
    group = optimizer.param_groups[0]
    return float(group["lr"] * group.get("d", 1.0))


def slots(optimizer: torch.optim.Optimizer, named: Named) -> Slots:
    """All that is kept for each parameter."""
    state = optimizer.state
    return {(key, slot): kept for key, weight in named.items() for slot, kept in state.get(weight, {}).items()}


def options(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The numbers that it changes while it works but keeps for all parameters together (rate, what Prodigy found)."""
    group, began = optimizer.param_groups[0], optimizer.defaults
    numbers = {name: kept for name, kept in group.items() if isinstance(kept, int | float)}
    return {name: kept for name, kept in numbers.items() if name not in began or kept != began[name]}


def restore(optimizer: torch.optim.Optimizer, named: Named, kept: Slots, said: Mapping[str, float]) -> None:
    """The way back: tensors go to their parameter's device, numbers stay numbers."""
    optimizer.state.clear()
    for (key, slot), value in kept.items():
        weight = named[key]
        optimizer.state[weight][slot] = value.to(weight.device) if isinstance(value, torch.Tensor) else value
    group = optimizer.param_groups[0]
    group |= {name: number for name, number in optimizer.defaults.items() if isinstance(number, int | float)}
    group |= said
