"""The yardsticks of the bench measure what they say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from isengard.engine.specs import TrainSpec
from tests.engine.conftest import Events

Pair = tuple[Any, Any]


@pytest.fixture
def pair(train_spec: Callable[..., TrainSpec]) -> Pair:
    """Our training and the bare loop beside it, neither having learned anything."""
    from isengard.engine.bench_bare import Bare
    from isengard.engine.trainer.loop import Training

    ours = Training(train_spec(), Events(), lambda: False)
    return ours, Bare(ours)


def test_the_bare_loop_computes_the_same_velocity(pair: Pair) -> None:
    from isengard.engine import bench_bare

    ours, bare = pair
    pairs = ours.data.images[:2]
    noisy, sigma = torch.randn(len(pairs), *pairs[0].latents.shape), torch.tensor([0.3, 0.8])
    embeds = {name: torch.cat([pair.embeds[name] for pair in pairs]) for name in pairs[0].embeds}
    expected = bench_bare.pack(ours.family.predict(noisy, sigma, embeds, 1.0))
    found = bare.velocity(noisy, sigma, [pair.embeds for pair in pairs])
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_bare_loop_trains_as_many_weights(pair: Pair) -> None:
    ours, bare = pair
    count = sum(weight.numel() for weight in ours.lora.parameters())
    assert sum(weight.numel() for weight in bare.weights) == count


def test_our_loop_loses_what_the_bare_loop_loses_step_by_step(pair: Pair) -> None:
    from isengard.engine.bench_bare import losses_apart

    assert losses_apart(*pair) <= 1e-4


def test_a_loop_that_does_other_arithmetic_is_told_from_ours(pair: Pair) -> None:
    from isengard.engine.bench_bare import losses_apart

    ours, bare = pair
    bare.rate *= 1.5
    assert losses_apart(ours, bare) > 1e-4


def test_an_event_is_measured_on_the_real_way_out(tmp_path: Path) -> None:
    from isengard.engine import bench

    (figure,) = bench.events(bench.Kit(tmp_path))
    assert 0.5 < figure.value < 1000 and figure.unit == "µs"


def test_the_table_has_a_row_for_every_figure() -> None:
    from isengard.engine import bench

    report = bench.Report("a machine", 0.5, (bench.Figure("picture", 12.345, "ms", "once"),))
    assert "| picture | 12.35 ms | once |" in report.table()
