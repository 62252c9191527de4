"""Frozen linear layers in 8 bits: half the memory of bf16. Plain torch, so it runs wherever torch does.

Each output has its own scale (symmetric, largest weight = 127), which keeps the error near 0.3 % of the row's largest.
The whole weights exist only while their layer computes, forward and backward: autograd keeps the bytes."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

MOST = 127


class Int8Linear(nn.Linear):
    """Computes as the given layer does, about; only what flows through it can be learnt from."""

    scale: torch.Tensor

    def __init__(self, layer: nn.Linear, device: torch.device) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        weight = layer.weight.detach().to(device)
        scale = weight.float().abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / MOST
        self.weight = nn.Parameter((weight.float() / scale).round_().to(torch.int8), requires_grad=False)
        self.register_buffer("scale", scale.to(weight.dtype))
        if layer.bias is not None:
            self.bias = nn.Parameter(layer.bias.detach().to(device), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = _Product.apply(x.to(self.scale.dtype), self.weight, self.scale)  # type: ignore[no-untyped-call]
        return found if self.bias is None else found + self.bias


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(weight, scale)
        return functional.linear(x, weight.to(scale.dtype) * scale)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        weight, scale = ctx.saved_tensors
        return gradient @ (weight.to(scale.dtype) * scale).to(gradient.dtype), None, None


def quantise(module: nn.Module, device: torch.device) -> None:
    """Replaces every linear layer below `module` by its 8-bit form on `device`, one after the other, so that the whole
    weights of one layer at a time are there."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, Int8Linear(child, device))
        else:
            quantise(child, device)
