"""What counts as the host waiting for the device, and that a step of ours never does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from isengard.engine.specs import TrainSpec
from tests.engine.conftest import Events

pytestmark = pytest.mark.integration


@pytest.fixture
def training(train_spec: Callable[..., TrainSpec]) -> Iterator[Any]:
    """A training on the device without memory."""
    from isengard.engine.bench_sync import without_memory
    from isengard.engine.trainer.loop import Training

    found = Training(train_spec(preservation=1.0), Events(), lambda: False)
    with without_memory(found):
        yield found


def test_a_step_reads_nothing_from_the_device(training: Any) -> None:
    from isengard.engine.bench_sync import reads_in

    assert reads_in(training.step, 4) == []


def test_reading_the_loss_of_each_step_is_counted(training: Any) -> None:
    from isengard.engine.bench_sync import reads_in

    def reading() -> torch.Tensor:
        loss: torch.Tensor = training.step()
        loss.item()
        return loss

    assert len(reads_in(reading, 4)) == 4


@pytest.mark.parametrize(
    "read",
    [
        lambda tensor: tensor.cpu(),
        lambda tensor: bool(tensor.sum() > 0),
        lambda tensor: torch.zeros(3).copy_(tensor),
        lambda tensor: tensor.nonzero(),
        lambda tensor: torch.zeros(3).to(tensor.device),
    ],
    ids=["copy", "condition", "copy into", "shape", "copy there"],
)
def test_what_the_host_waits_for_is_counted(read: Callable[[torch.Tensor], Any]) -> None:
    from isengard.engine.bench_sync import HostReads

    tensor = torch.zeros(3, device="meta")
    with HostReads() as reads:
        read(tensor)
    assert len(reads.seen) == 1


@pytest.mark.parametrize(
    "work",
    [
        lambda tensor: (tensor * 2).sum(),
        lambda tensor: torch.zeros(3).to(tensor.device, non_blocking=True),
        lambda _tensor: torch.zeros(3).sum().item(),
    ],
    ids=["arithmetic", "copy without waiting", "number of the host's own"],
)
def test_what_needs_no_waiting_is_not_counted(work: Callable[[torch.Tensor], Any]) -> None:
    from isengard.engine.bench_sync import HostReads

    with HostReads() as reads:
        work(torch.zeros(3, device="meta"))
    assert reads.seen == []
