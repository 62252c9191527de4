"""The optimizers: what ours does like AdamW, what each keeps, what the average holds."""

import pytest

pytest.importorskip("torch")

import torch

from isengard.engine.trainer import optimizers
from isengard.engine.trainer.adamw8bit import AdamW8bit
from isengard.engine.trainer.average import Average


def weights(seed: int = 0) -> dict[str, torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}


SHAPES = {"a": (4, 300), "b": (50, 4), "c": (7, 1)}


def learn(name: str, steps: int, rate: float = 1e-2, decay: float = 1e-2) -> dict[str, torch.nn.Parameter]:
    """Pulls the weights towards ones, with some noise in the gradients."""
    found, noise = weights(), torch.Generator().manual_seed(1)
    optimizer = optimizers.make(name, list(found.values()), rate, decay)
    for _ in range(steps):
        for weight in found.values():
            weight.grad = (weight.detach() - 1) + 0.3 * torch.randn(weight.shape, generator=noise)
        optimizer.step()
    return found


@pytest.mark.parametrize("name", ["adamw", "adamw8bit", "adafactor"])
def test_each_finds_the_way(name: str) -> None:
    assert all((weight - 1).abs().mean() < 0.1 for weight in learn(name, 400).values())


def test_prodigy_finds_the_way_and_the_rate() -> None:
    began, found = weights(), learn("prodigy", 400, rate=1.0)
    far, near = ((held["a"] - 1).abs().mean() for held in (began, found))
    assert near < 0.3 * far


def test_eight_bits_go_where_adamw_goes() -> None:
    began, full, small = weights(), learn("adamw", 100), learn("adamw8bit", 100)
    for name in SHAPES:
        way, apart = (full[name] - began[name]).norm(), (full[name] - small[name]).norm()
        assert apart < 0.05 * way


def test_the_first_step_in_eight_bits_is_that_of_adamw() -> None:
    full, small = learn("adamw", 1), learn("adamw8bit", 1)
    assert all(torch.allclose(full[name], small[name], atol=1e-6) for name in SHAPES)


def test_moments_in_eight_bits_take_a_quarter_of_the_memory() -> None:
    weight = torch.nn.Parameter(torch.zeros(256, 256))
    optimizer = AdamW8bit([weight], 1e-3, 0.0)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    kept = sum(value.nbytes for value in optimizer.state[weight].values() if isinstance(value, torch.Tensor))
    assert kept < 0.27 * 2 * weight.nbytes


def test_a_gradient_of_nothing_and_one_beside_it_make_no_wild_step() -> None:
    weight = torch.nn.Parameter(torch.zeros(512))
    optimizer = AdamW8bit([weight], 1e-3, 0.0)
    for _ in range(20):
        weight.grad = torch.cat([torch.full((255,), 1e-7), torch.tensor([10.0]), torch.zeros(256)])
        optimizer.step()
    assert weight.abs().max() < 20 * 1e-3 * 1.1


def test_the_rate_that_prodigy_found_is_told() -> None:
    found = weights()
    optimizer = optimizers.make("prodigy", list(found.values()), 0.5, 0.0)
    optimizer.param_groups[0]["d"] = 1e-3
    assert optimizers.rate_of(optimizer) == pytest.approx(5e-4)


def test_the_average_follows_the_weights_and_lags_behind() -> None:
    held = {"a": torch.nn.Parameter(torch.zeros(1))}
    average = Average(held, 0.9)
    for step in range(1, 201):
        held["a"].data.fill_(float(step))
        average.add(step)
    assert 180 < average.kept["a"].item() < 195


def test_the_average_is_worn_and_taken_off_to_the_last_bit() -> None:
    held = {"a": torch.nn.Parameter(torch.rand(5))}
    average, before = Average(held, 0.9), held["a"].detach().clone()
    average.kept["a"].fill_(0.25)
    with average.worn():
        assert (held["a"] == 0.25).all()
    assert torch.equal(held["a"], before)


def test_without_decay_there_is_no_average_to_pay_for() -> None:
    assert Average({"a": torch.nn.Parameter(torch.rand(5))}, 0.0).kept == {}
