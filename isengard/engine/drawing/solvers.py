"""One step from one noise level to the next, by each sampler of samplers.py. Knows latents and levels; no model.

The multistep ones are diffusers' own schedulers, given the family's noise levels instead of theirs."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

# The model's velocity for latents (B, C, h, w) at a noise level (a tensor without dimensions).
Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Solver(Protocol):
    def __call__(self, index: int, latents: torch.Tensor, velocity: Velocity) -> tuple[torch.Tensor, torch.Tensor]:
        """From `latents` at level `index` to those at the next one, with the velocity that was seen first."""


def make(key: str, sigmas: torch.Tensor) -> Solver:
    """A solver for one drawing along `sigmas` (steps + 1,), falling to 0; it remembers its earlier steps."""
    if key == "heun":
        return Heun(sigmas)
    if key in MULTISTEP:
        return Multistep(key, sigmas)
    return Euler(sigmas)


class Euler:
    """Straight on: x + dσ · v."""

    def __init__(self, sigmas: torch.Tensor) -> None:
        self._sigmas = sigmas

    def __call__(self, index: int, latents: torch.Tensor, velocity: Velocity) -> tuple[torch.Tensor, torch.Tensor]:
        seen = velocity(latents, self._sigmas[index])
        return latents + (self._sigmas[index + 1] - self._sigmas[index]) * seen, seen


class Heun:
    """Euler's step, then once more with the mean of the velocities at both ends (the trapezoidal rule); the last step
    ends where there is no noise and nothing to be asked, so it is Euler's."""

    def __init__(self, sigmas: torch.Tensor) -> None:
        self._sigmas, self._last = sigmas, len(sigmas) - 2

    def __call__(self, index: int, latents: torch.Tensor, velocity: Velocity) -> tuple[torch.Tensor, torch.Tensor]:
        here, there = self._sigmas[index], self._sigmas[index + 1]
        seen = velocity(latents, here)
        ahead = latents + (there - here) * seen
        if index == self._last:
            return ahead, seen
        return latents + (there - here) * (seen + velocity(ahead, there)) / 2, seen


# As diffusers keeps away from a level of 1.
NEARLY = 1e-6
MULTISTEP: dict[str, Any] = {"dpmpp_2m": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler}


class Multistep:
    """Goes on from the clean picture as this step and the one before it saw it: second order, one question a step."""

    def __init__(self, key: str, sigmas: torch.Tensor) -> None:
        self._sigmas = sigmas
        self._scheduler = MULTISTEP[key](
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, solver_order=2
        )
        self._scheduler.set_timesteps(len(sigmas) - 1)
        # Log odds of pure noise are infinite, and UniPC solves for them.
        self._scheduler.sigmas = sigmas.cpu().clamp(max=1 - NEARLY)
        # Levels are counted, not looked up.
        self._scheduler.set_begin_index(0)

    def __call__(self, index: int, latents: torch.Tensor, velocity: Velocity) -> tuple[torch.Tensor, torch.Tensor]:
        seen = velocity(latents, self._sigmas[index])
        time = self._scheduler.timesteps[index]
        moved: torch.Tensor = self._scheduler.step(seen, time, latents, return_dict=False)[0]
        return moved, seen
