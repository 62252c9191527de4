"""AdamW whose two moments are kept in 8 bits: two bytes and a little for each weight instead of eight. Plain torch, so
it runs wherever torch does; knows nothing but tensors.

As in Dettmers et al., 8-bit Optimizers via Block-wise Quantization (2021): blocks have their own scale, so that one
large number coarsens only its neighbours, and the code is finer near zero. Here the code is a power (a byte q stands
for largest · (q / most)^power), because a table is slower without kernels of one's own; and chance decides between the
two nearest bytes, drawn from torch's own generator, which a resumed training takes up where it was."""

from collections.abc import Iterable
from typing import Any

import torch

BLOCK = 256
# The second moment is a square, so its numbers spread twice as far and have no sign.
FIRST, SECOND = (2, 127), (4, 255)
BETAS, EPSILON = (0.9, 0.999), 1e-8


class AdamW8bit(torch.optim.Optimizer):
    """Decoupled weight decay and corrected bias as torch.optim.AdamW; computes in float32."""

    def __init__(self, weights: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, group["lr"], group["weight_decay"])

    def _update(self, weight: torch.nn.Parameter, rate: float, decay: float) -> None:
        state, gradient = self.state[weight], weight.grad.float().flatten()  # type: ignore[union-attr]
        state["step"] = step = state.get("step", 0) + 1
        first = _decoded(state, "first", gradient, FIRST).lerp_(gradient, 1 - BETAS[0])
        second = (
            _decoded(state, "second", gradient, SECOND).mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        )
        _encode(state, "first", first, FIRST)
        _encode(state, "second", second, SECOND)
        size = (second / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
        change = (first / size).mul_(-rate / (1 - BETAS[0] ** step))
        weight.mul_(1 - rate * decay).add_(change.view_as(weight))


def _decoded(state: dict[str, Any], name: str, like: torch.Tensor, code: tuple[int, int]) -> torch.Tensor:
    """The moment in float32, zeros before the first step."""
    if name not in state:
        return torch.zeros_like(like)
    power, most = code
    share = state[name].float().div_(most)
    numbers: torch.Tensor = share.abs().pow_(power).mul_(share.sign()).view(-1, BLOCK)
    return numbers.mul_(state[f"{name}_scale"][:, None]).flatten()[: like.numel()]


def _encode(state: dict[str, Any], name: str, numbers: torch.Tensor, code: tuple[int, int]) -> None:
    """Rounds by chance, right on average: a moment changes by a thousandth in a step, which no code could follow."""
    power, most = code
    blocks = torch.nn.functional.pad(numbers, (0, -numbers.numel() % BLOCK)).view(-1, BLOCK)
    scale = blocks.abs().amax(1)
    wanted = (blocks.abs() / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).mul_(most**power)
    below = wanted.pow(1 / power).floor_()
    lower, upper = below**power, (below + 1) ** power
    found = below.add_(torch.rand_like(wanted) * (upper - lower) < wanted - lower).clamp_(max=most)
    if code == SECOND:
        # Nothing in place of a very small number would make a step without bounds.
        state[name] = torch.where(wanted > 0, found.clamp_(min=1), found).to(torch.uint8).flatten()
    else:
        state[name] = found.mul_(blocks.sign()).to(torch.int8).flatten()
    state[f"{name}_scale"] = scale
