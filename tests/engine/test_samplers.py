"""Samplers: each walks to the same picture, those of second order by fewer questions; names of other programs."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler

from isengard.engine import catalog, samplers
from isengard.engine.drawing import solvers
from isengard.engine.drawing.windows import grid
from isengard.engine.errors import EngineError
from isengard.engine.families.flux1 import Flux1
from isengard.engine.sampling import Look, Start, draw
from isengard.engine.specs import BaseModel

EVERY = list(samplers.SAMPLERS)
SPREAD, MIDDLE = 0.5, 1.0  # of the data that the exact field below leads to


def levels(steps: int, shift: float = 3.0) -> torch.Tensor:
    even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    return (shift * even / (1 + (shift - 1) * even)).float()


def variance(sigma: torch.Tensor) -> torch.Tensor:
    return (1 - sigma) ** 2 * SPREAD**2 + sigma**2


def exact(latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The velocity that leads noise to a normal distribution: what a perfect model of such data would say."""
    away = latents - (1 - sigma) * MIDDLE
    return away * (sigma - (1 - sigma) * SPREAD**2) / variance(sigma) - MIDDLE


def walked(key: str, steps: int, field: solvers.Velocity = exact) -> torch.Tensor:
    sigmas, latents = levels(steps), torch.linspace(-2, 2, 9).view(1, 1, 3, 3)
    solver = solvers.make(key, sigmas)
    for index in range(steps):
        latents, _ = solver(index, latents, field)
    return latents


def wrong(key: str, steps: int) -> float:
    """How far from where the field leads: noise z to MIDDLE + SPREAD · z."""
    there = MIDDLE + SPREAD * torch.linspace(-2, 2, 9).view(1, 1, 3, 3)
    return (walked(key, steps) - there).abs().max().item()


@pytest.mark.parametrize("key", EVERY)
def test_the_error_falls_with_the_steps(key: str) -> None:
    errors = [wrong(key, steps) for steps in (8, 16, 64)]
    assert errors[0] > 1.5 * errors[1] > 3 * errors[2]


@pytest.mark.parametrize("key", [key for key in EVERY if key != "euler"])
def test_second_order_is_nearer_by_as_many_questions(key: str) -> None:
    steps = 32 if samplers.get(key).twice else 64
    assert wrong(key, steps) < wrong("euler", 64) / 2


@pytest.mark.parametrize("key", EVERY)
def test_each_asks_as_often_as_it_says(key: str) -> None:
    asked: list[torch.Tensor] = []
    walked(key, 6, lambda latents, sigma: asked.append(sigma) or exact(latents, sigma))  # type: ignore[func-returns-value]
    assert len(asked) == samplers.get(key).evaluations(6)


def theirs(scheduler: Any, calls: int) -> torch.Tensor:
    """diffusers' own walk along the same levels."""
    scheduler.set_timesteps(6)
    scheduler.sigmas = torch.cat([levels(6)[:1], levels(6)[1:-1].repeat_interleave(2), levels(6)[-1:]])
    if calls == 6:
        scheduler.sigmas = levels(6)
    scheduler.timesteps, latents = scheduler.sigmas * 1000, torch.linspace(-2, 2, 9).view(1, 1, 3, 3)
    scheduler.set_begin_index(0)
    for index in range(calls):
        seen = exact(latents, scheduler.sigmas[index])
        latents = scheduler.step(seen, scheduler.timesteps[index], latents, return_dict=False)[0]
    return latents


def test_euler_is_diffusers_euler_to_the_last_bit() -> None:
    assert torch.equal(walked("euler", 6), theirs(FlowMatchEulerDiscreteScheduler(), 6))


def test_heun_is_diffusers_heun() -> None:
    assert torch.allclose(walked("heun", 6), theirs(FlowMatchHeunDiscreteScheduler(), 11), atol=1e-6)


@pytest.fixture(scope="module")
def family(tiny: BaseModel) -> Flux1:
    return Flux1(tiny, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def drawn(family: Flux1) -> Callable[..., torch.Tensor]:
    words = family.encode_prompts(["a photo"])

    def drawn(key: str, steps: int = 4, side: int = 32, **more: Any) -> torch.Tensor:
        return draw(family, words, words, seeds=[4], look=Look(side, side, steps, 1.0, key), **more)

    return drawn


@pytest.fixture(scope="module")
def finest(drawn: Callable[..., torch.Tensor]) -> torch.Tensor:
    return drawn("euler", 120)


@pytest.mark.parametrize("key", EVERY)
def test_each_draws_the_picture_of_many_euler_steps(
    key: str, drawn: Callable[..., torch.Tensor], finest: torch.Tensor
) -> None:
    assert (drawn(key, 24) - finest).norm() < (drawn("euler", 2) - finest).norm() / 4


@pytest.mark.parametrize("key", EVERY)
def test_each_begins_from_a_picture_and_leaves_what_a_mask_holds(
    key: str, family: Flux1, drawn: Callable[..., torch.Tensor]
) -> None:
    old = torch.randn(1, *family.latent_shape(32, 32), generator=torch.Generator().manual_seed(9))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    changed = drawn(key, start=Start(old, 0.4, mask)) - old
    assert not changed[..., 4:].any() and 0 < changed.norm() < (drawn(key) - old).norm()


@pytest.mark.parametrize("key", EVERY)
def test_each_draws_in_windows_and_shows_clean_previews(key: str, drawn: Callable[..., torch.Tensor]) -> None:
    seen: list[torch.Tensor] = []
    made = drawn(key, windows=grid(8, 8, 4), on_step=lambda step, steps, clean: seen.append(clean()))
    assert len(seen) == 4 and torch.isfinite(made).all()
    assert (seen[-1] - made).norm() < (seen[0] - made).norm() + 1e-6


def test_a_guide_hears_of_shares_of_the_steps_whatever_the_sampler(drawn: Callable[..., torch.Tensor]) -> None:
    class Listening:
        heard: list[float] = []

        def kwargs(self, done: float) -> dict[str, Any]:
            self.heard.append(done)
            return {}

    drawn("heun", guide=Listening())
    assert Listening.heard == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("name", "key", "same"),
    [
        ("Euler", "euler", True),
        ("DPM++ 2M Karras", "dpmpp_2m", True),
        ("dpmpp_2m_k", "dpmpp_2m", True),
        ("uni_pc_bh2", "unipc", True),
        ("Heun", "heun", True),
        ("DPM++ 2M SDE", "dpmpp_2m", False),
        ("dpm_2_ancestral", "heun", False),
        ("Euler a", "euler", False),
        ("\N{SNOWMAN}" * 90, "euler", False),
    ],
)
def test_names_of_other_programs_lead_to_the_nearest(name: str, key: str, same: bool) -> None:
    assert samplers.nearest(name) == (key, same)


def test_a_distilled_base_takes_only_euler_and_says_why() -> None:
    schnell, dev = catalog.get("flux-schnell"), catalog.get("flux-dev")
    assert "distilled" in samplers.why_not("heun", schnell) and not samplers.why_not("euler", schnell)
    assert [one.key for one in samplers.offered(dev)] == EVERY
    assert "sampler" not in {param.name for param in catalog.generation_params("flux-schnell")}


def test_a_sampler_that_nobody_knows_is_a_sentence() -> None:
    with pytest.raises(EngineError, match="no sampler called 'warp'"):
        samplers.get("warp")
