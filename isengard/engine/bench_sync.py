"""Counts when the host waits for the device: a number, a comparison or a copy that comes back while later work could
run. Each such read in a step leaves a GPU idle. Without a GPU the training is moved to torch's device without memory.

Knows the training's parts; measures no time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from isengard.engine.families.base import Embeds
from isengard.engine.trainer import loop
from isengard.engine.trainer.data import Dataset, Pair

ATEN = torch.ops.aten
META = torch.device("meta")
# What a read gives where there is no number behind it.
UNKNOWN = 0.5


class HostReads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, `seen` collects what made the host wait, by the operator's name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if not _waits(func, args, given):
            return func(*args, **given)
        self.seen.append(str(func))
        if all(tensor.device != META for tensor in _tensors((args, given))):
            return func(*args, **given)
        return _stand_in(func, args, given)


def _tensors(given: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(given) if isinstance(leaf, torch.Tensor)]


def _waits(func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> bool:
    """Whether the host must wait: it asks for a number, for a shape that depends on numbers, or for a copy, either way,
    that was not said to need no waiting."""
    if all(tensor.device.type == "cpu" for tensor in _tensors((args, given))):
        return func is ATEN._to_copy.default and _leaves_cpu(given)
    if func in (ATEN._local_scalar_dense.default, ATEN.equal.default, ATEN.nonzero.default):
        return True
    if func is ATEN._to_copy.default:
        device = given.get("device")
        return device is not None and torch.device(device).type == "cpu" and not given.get("non_blocking")
    if func is ATEN.copy_.default:
        apart = args[0].device.type != args[1].device.type
        return apart and not (args[2] if len(args) > 2 else given.get("non_blocking", False))
    return False


def _leaves_cpu(given: dict[str, Any]) -> bool:
    device = given.get("device")
    return device is not None and torch.device(device).type != "cpu" and not given.get("non_blocking")


def _stand_in(func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """What a read gives where there are no numbers: something of the right kind."""
    if func is ATEN._to_copy.default:
        kind, device = given.get("dtype") or args[0].dtype, given["device"]
        return torch.full(args[0].shape, UNKNOWN, dtype=kind, device=device)
    if func is ATEN.copy_.default:
        return args[0]
    if func is ATEN.equal.default:
        return False
    if func is ATEN.nonzero.default:
        return torch.zeros((0, args[0].dim()), dtype=torch.long, device=META)
    return UNKNOWN


@contextmanager
def without_memory(training: loop.Training) -> Iterator[None]:
    """Inside, the training can be counted but learns nothing: its model, LoRA and pictures are on the device without
    memory. torch has no fused AdamW there, so its plain form stands for it; autocast, which full precision switches off
    anyhow, knows no such device either. ValueError: the training is not in full precision."""
    if training.family.dtype != torch.float32:
        raise ValueError("only a training in full precision can be counted without a device")
    training.family.device = META
    training.family.transformer.to(META)
    data = training.data
    training.data = Dataset(
        [_moved(pair) for pair in data.images], [_moved(pair) for pair in data.classes], _there(data.empty)
    )
    group = training.optimizer.param_groups[0]
    training.optimizer = torch.optim.AdamW(
        training.lora.parameters(), group["lr"], weight_decay=group["weight_decay"], fused=False
    )
    with mock.patch("torch.autocast", return_value=nullcontext()):
        yield


def _moved(pair: Pair) -> Pair:
    others = tuple(_there(embeds) for embeds in pair.others)
    weights = None if pair.weights is None else pair.weights.to(META)
    return replace(pair, latents=pair.latents.to(META), embeds=_there(pair.embeds), weights=weights, others=others)


def _there(embeds: Embeds) -> Embeds:
    return {name: tensor.to(META) for name, tensor in embeds.items()}


def reads_in(step: Callable[[], torch.Tensor], count: int) -> list[str]:
    """What made the host wait within so many steps. The first is not counted: an optimizer makes its state in it."""
    with HostReads():
        step()
    with HostReads() as reads:
        for _ in range(count):
            step()
    seen: list[str] = reads.seen
    return seen
