"""The base in 8 bits: near enough to the whole one, half its memory, and something to learn through."""

from collections.abc import Callable

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from isengard.engine import families
from isengard.engine.quantised import Int8Linear
from isengard.engine.specs import BaseModel, TrainSpec
from isengard.engine.trainer import loop
from tests.engine.conftest import Events

Make = Callable[..., TrainSpec]
CPU = torch.device("cpu")


def layer(dtype: torch.dtype = torch.float32) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(64, 32).to(dtype)


def test_it_computes_nearly_what_the_layer_computes() -> None:
    whole, x = layer(), torch.randn(10, 64)
    small = Int8Linear(whole, CPU)
    assert (small(x) - whole(x)).norm() < 0.01 * whole(x).norm()


def test_what_flows_back_is_what_flows_back_through_the_rounded_weights() -> None:
    small, x = Int8Linear(layer(), CPU), torch.randn(3, 64, requires_grad=True)
    small(x).square().sum().backward()
    weight, other = small.weight.float() * small.scale, x.detach().requires_grad_()
    (other @ weight.T + small.bias).square().sum().backward()
    assert x.grad is not None and other.grad is not None and torch.allclose(x.grad, other.grad, atol=1e-4)


def test_it_takes_half_the_memory_of_bf16() -> None:
    whole = nn.Linear(512, 512, bias=False).to(torch.bfloat16)
    small = Int8Linear(whole, CPU)
    assert sum(tensor.nbytes for tensor in [*small.parameters(), *small.buffers()]) < 0.51 * whole.weight.nbytes


def test_a_row_of_zeros_stays_zero() -> None:
    whole = layer()
    whole.weight.data[3] = 0
    assert not Int8Linear(whole, CPU).weight[3].any()


def test_only_the_blocks_of_the_denoiser_are_quantised(tiny: BaseModel) -> None:
    model = families.load(tiny, CPU, torch.float32, "int8").transformer
    small = {name for name, module in model.named_modules() if isinstance(module, Int8Linear)}
    assert "transformer_blocks.0.attn.to_q" in small and "single_transformer_blocks.0.proj_mlp" in small
    assert all(name.startswith(("transformer_blocks.", "single_transformer_blocks.")) for name in small)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_lora_is_learnt_on_it_and_fits_the_base_as_it_is(train_spec: Make, events: Events, precision: str) -> None:
    result = loop.train(train_spec(quantize="int8", precision=precision), events, lambda: False)
    assert result["loads_in_diffusers"] and result["effect"] > 0


def test_its_base_has_another_fingerprint(tiny: BaseModel) -> None:
    prints = {families.load(tiny, CPU, torch.float32, how).fingerprint("transformer") for how in ("none", "int8")}
    assert len(prints) == 2
