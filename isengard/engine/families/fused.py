"""Pieces of a frozen network that is learnt from through LoRAs, forward and backward in as few passes as they need.

The arithmetic of PyTorch and peft to rounding; what is not kept is what autograd would add: a sum for each LoRA, a copy
for each joint, gradients of frozen weights' parts. Knows torch and peft's layers; no model, no job.

Shapes: x (…, n), weight (m, n), a (r, n), b (m, r); a LoRA's layer gives x·weightᵀ + bias + scale·(x·aᵀ)·bᵀ."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from peft.tuners.lora.layer import Linear as PeftLinear
from torch import nn

Maybe = torch.Tensor | None


class Layer(NamedTuple):
    """One linear layer, frozen, with the LoRA that learns on it (a and b None: there is none)."""

    weight: torch.Tensor
    bias: Maybe
    a: Maybe
    b: Maybe
    scale: float


def layer_of(module: nn.Module) -> Layer | None:
    """None: it computes in a way of its own (8 bits, several adapters, more than plain LoRA), so it must be asked."""
    if type(module) is nn.Linear:
        return Layer(module.weight, module.bias, None, None, 1.0)
    peft: Any = module
    if type(module) is not PeftLinear or type(peft.base_layer) is not nn.Linear or peft.merged:
        return None
    base, names = peft.base_layer, [name for name in peft.active_adapters if name in peft.lora_A]
    if peft.disable_adapters or not names:
        return Layer(base.weight, base.bias, None, None, 1.0)
    name, kind = names[0], base.weight.dtype
    more = name in peft.lora_variant or peft.lora_bias[name] or type(peft.lora_dropout[name]) is not nn.Identity
    if len(names) > 1 or more:
        return None
    a, b = peft.lora_A[name].weight, peft.lora_B[name].weight
    return Layer(base.weight, base.bias, a.to(kind), b.to(kind), float(peft.scaling[name]))


def linears(x: torch.Tensor, *modules: nn.Module) -> tuple[torch.Tensor, ...]:
    """Each module's answer to one input."""
    layers = [layer_of(module) for module in modules]
    plain = [layer for layer in layers if layer is not None]
    if len(plain) < len(layers):
        return tuple(module(x) for module in modules)
    flat = [tensor for layer in plain for tensor in layer[:4]]
    given, scales = x.to(plain[0].weight.dtype), [layer.scale for layer in plain]
    found: tuple[torch.Tensor, ...] = _Linears.apply(given, scales, *flat)  # type: ignore[no-untyped-call]
    return found


def linear(module: nn.Module, *parts: torch.Tensor) -> torch.Tensor:
    """The module's answer to an input that is given in parts along its last dimension."""
    layer = layer_of(module)
    if layer is None:
        answer: torch.Tensor = module(torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0])
        return answer
    if len(parts) == 1:
        return linears(parts[0], module)[0]
    given = [part.to(layer.weight.dtype) for part in parts]
    found: torch.Tensor = _Joined.apply(layer.scale, *layer[:4], *given)  # type: ignore[no-untyped-call]
    return found


def _rows(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(-1, x.shape[-1])


def _plus(bias: Maybe, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())


class _Linears(torch.autograd.Function):
    """One input, several layers: the input's gradient is summed by the products themselves."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scales: Sequence[float], *flat: Maybe) -> tuple[torch.Tensor, ...]:
        rows, outs, kept = _rows(x), [], []
        for scale, (weight, bias, a, b) in zip(scales, _fours(flat), strict=True):
            out, low = _plus(bias, rows, weight), None
            if a is not None and b is not None:
                low = rows @ a.t()
                out.addmm_(low, b.t(), alpha=scale)
            outs.append(out.view(*x.shape[:-1], -1))
            kept.append(low)
        ctx.scales, ctx.shape = scales, x.shape
        # Only LoRAs ask for the input again.
        learnt_from = rows if any(a is not None for a in flat[2::4]) else None
        ctx.save_for_backward(learnt_from, *kept, *flat[0::4], *flat[2::4], *flat[3::4])
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        count = len(ctx.scales)
        rows, *rest = ctx.saved_tensors
        lows, weights, every_a, every_b = (rest[start : start + count] for start in range(0, 4 * count, count))
        into: Maybe = None
        given: list[Maybe] = []
        for grad, scale, low, weight, a, b in zip(grads, ctx.scales, lows, weights, every_a, every_b, strict=True):
            grad = _rows(grad)
            if ctx.needs_input_grad[0]:
                into = grad @ weight if into is None else into.addmm_(grad, weight)
            if a is None:
                given += [None] * 4
                continue
            back = _times(grad @ b, scale)
            given += [None, None, back.t() @ rows, _times(grad.t() @ low, scale)]
            if into is not None:
                into.addmm_(back, a)
        return None if into is None else into.view(ctx.shape), None, *given


class _Joined(torch.autograd.Function):
    """One layer whose input comes in parts: each meets its own columns of the weights; nothing is copied."""

    @staticmethod
    def forward(
        ctx: Any, scale: float, weight: torch.Tensor, bias: Maybe, a: Maybe, b: Maybe, *parts: torch.Tensor
    ) -> torch.Tensor:
        rows = [_rows(part) for part in parts]
        ends = [row.shape[1] for row in rows]
        first, *others = zip(rows, weight.split_with_sizes(ends, dim=1), strict=True)
        out, low = _plus(bias, *first), None
        for row, columns in others:
            out.addmm_(row, columns.t())
        if a is not None and b is not None:
            (row, columns), *others = zip(rows, a.split_with_sizes(ends, dim=1), strict=True)
            low = row @ columns.t()
            for row, columns in others:
                low.addmm_(row, columns.t())
            out.addmm_(low, b.t(), alpha=scale)
        ctx.scale, ctx.shapes = scale, [part.shape for part in parts]
        ctx.save_for_backward(weight, a, b, low, *(rows if a is not None else ()))
        return out.view(*parts[0].shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        weight, a, b, low, *rows = ctx.saved_tensors
        grad, ends = _rows(grad), [shape[-1] for shape in ctx.shapes]
        into = [grad @ columns for columns in weight.split_with_sizes(ends, dim=1)]
        of_a = of_b = None
        if a is not None:
            back = _times(grad @ b, ctx.scale)
            of_b = _times(grad.t() @ low, ctx.scale)
            of_a = torch.cat([back.t() @ row for row in rows], dim=1)
            for part, columns in zip(into, a.split_with_sizes(ends, dim=1), strict=True):
                part.addmm_(back, columns)
        return None, None, None, of_a, of_b, *(part.view(shape) for part, shape in zip(into, ctx.shapes, strict=True))


def _fours(flat: Sequence[Any]) -> list[Sequence[Any]]:
    return [flat[start : start + 4] for start in range(0, len(flat), 4)]


def _times(tensor: torch.Tensor, scale: float) -> torch.Tensor:
    return tensor if scale == 1 else tensor.mul_(scale)


def turned(turns: torch.Tensor, *parts: tuple[torch.Tensor, nn.RMSNorm]) -> torch.Tensor:
    """Heads of several sequences, each (B, s, H, D) normed by its own RMSNorm, joined along s and turned by position:
    (B, S, H, D). `turns`: complex (S, 1, D/2), of length 1."""
    given = [norm.weight for _, norm in parts] + [head for head, _ in parts]
    found: torch.Tensor = _Turned.apply(turns, parts[0][1].eps, *given)  # type: ignore[no-untyped-call]
    return found


def _pairs(x: torch.Tensor) -> torch.Tensor:
    """(…, D) as complex (…, D/2): neighbours are one number's parts."""
    return torch.view_as_complex(x.view(*x.shape[:-1], -1, 2))


class _Turned(torch.autograd.Function):
    """RMSNorm and rotary embedding in float32, whatever comes in and goes out."""

    @staticmethod
    def forward(ctx: Any, turns: torch.Tensor, eps: float, *given: torch.Tensor) -> torch.Tensor:
        weights, heads = given[: len(given) // 2], given[len(given) // 2 :]
        (count, _, many, size), whole = heads[0].shape, sum(part.shape[1] for part in heads)
        out = torch.empty((count, whole, many, size), dtype=torch.float32, device=turns.device)
        lengths = [part.shape[1] for part in heads]
        places, shares, shrinks = out.split_with_sizes(lengths, dim=1), turns.split_with_sizes(lengths), []
        for part, weight, place, turn in zip(heads, weights, places, shares, strict=True):
            exact = part.float()
            shrink = torch.linalg.vector_norm(exact, dim=-1, keepdim=True).square_().div_(size).add_(eps).rsqrt_()
            normed = (exact * shrink).mul_(weight)
            torch.mul(_pairs(normed), turn, out=_pairs(place))
            shrinks.append(shrink)
        ctx.save_for_backward(turns, *weights, *heads, *shrinks)
        return out.to(heads[0].dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        turns, *kept = ctx.saved_tensors
        third = len(kept) // 3
        weights, heads, shrinks = kept[:third], kept[third : 2 * third], kept[2 * third :]
        lengths = [part.shape[1] for part in heads]
        grads = _pairs(grad.float().contiguous()).split_with_sizes(lengths, dim=1)
        back_turns = turns.conj().split_with_sizes(lengths)
        found = []
        for part, weight, shrink, given, turn in zip(heads, weights, shrinks, grads, back_turns, strict=True):
            back = torch.view_as_real(given * turn).flatten(-2).mul_(weight).mul_(shrink)
            exact = part.float()
            along = (back * exact).sum(-1, keepdim=True).mul_(shrink.square()).div_(-exact.shape[-1])
            found.append(back.addcmul_(exact, along).to(part.dtype))
        return None, None, *[None] * third, *found
