"""Several one-thread processes that train one model: on a CPU this beats one process with several threads.

The caller's function runs once per rank; gradients are averaged over all of them. Knows nothing of what is trained.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn


@dataclass(frozen=True)
class Ranks:
    """Where this process stands: `rank` of `count`, on `device`."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over the ranks, in one message."""
        if self.count == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(flat)
        flat /= self.count
        start = 0
        for g in grads:
            g.copy_(flat[start : start + g.numel()].view_as(g))
            start += g.numel()

    def agree(self, value: float) -> float:
        """Rank 0's value on every rank, so that all stop at the same step."""
        if self.count == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(box, 0)
        return float(box)


def _enter(rank: int, count: int, port: int, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=count)
    work(Ranks(rank, count, torch.device("cpu")), *args)
    dist.destroy_process_group()


def launch(work: Callable[..., None], args: tuple[Any, ...], processes: int, port: int) -> None:
    """Run `work(ranks, *args)`: on CUDA in this process, otherwise in `processes` processes of one thread."""
    if torch.cuda.is_available():
        work(Ranks(0, 1, torch.device("cuda")), *args)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if processes == 1:
        torch.set_num_threads(1)
        work(Ranks(0, 1, torch.device("cpu")), *args)
        return
    spawn(_enter, (processes, port, work, args), nprocs=processes)  # type: ignore[no-untyped-call]
