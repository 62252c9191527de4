"""The way through the denoiser while it learns: what diffusers and peft compute, both ways, in less memory."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from isengard.engine import families
from isengard.engine.families import flux1_learning
from isengard.engine.specs import BaseModel
from isengard.engine.trainer.lora import Lora

Gone = tuple[torch.Tensor, list[torch.Tensor]]


def family_of(
    base: BaseModel, dtype: torch.dtype = torch.float32, quantize: Any = "none", **how: Any
) -> tuple[Any, Lora]:
    """With a LoRA whose B is not zero, so that A has a gradient, too."""
    family = families.load(base, torch.device("cpu"), dtype, quantize)
    lora = Lora(family, 4, 7, **how)
    torch.manual_seed(3)
    for key, weight in lora.named().items():
        if key.endswith("lora_B.weight"):
            weight.data.normal_(0, 0.2)
    return family, lora


def gone(family: Any, lora: Lora) -> Gone:
    """The velocity of two noisy pictures, and what each weight of the LoRA would change."""
    noise = torch.Generator().manual_seed(5)
    embeds = {"prompt": torch.randn(2, 32, 16, generator=noise), "pooled": torch.randn(2, 16, generator=noise)}
    latents = torch.randn(2, 4, 8, 12, generator=noise)
    found = family.predict(latents, torch.tensor([0.3, 0.8]), embeds, 1.0)
    grads = torch.autograd.grad((found * latents).sum(), lora.parameters())
    return found.detach(), list(grads)


def as_diffusers_goes(monkeypatch: pytest.MonkeyPatch, family: Any, lora: Lora) -> Gone:
    with monkeypatch.context() as patch:
        patch.setattr(flux1_learning, "fits", lambda _net: False)
        return gone(family, lora)


def apart(one: Gone, other: Gone) -> float:
    """The largest difference, each tensor's relative to its own largest number."""
    pairs = zip([one[0], *one[1]], [other[0], *other[1]], strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


@pytest.mark.parametrize("how", [{}, {"layers": "attention"}, {"layers": "blocks and prompt", "alpha": 6.0}], ids=str)
def test_velocity_and_gradients_are_those_of_diffusers(tiny: BaseModel, monkeypatch: Any, how: Any) -> None:
    family, lora = family_of(tiny, **how)
    assert apart(gone(family, lora), as_diffusers_goes(monkeypatch, family, lora)) < 1e-5


def test_in_bf16_they_differ_by_its_rounding(tiny: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    family, lora = family_of(tiny, torch.bfloat16)
    one, other = gone(family, lora), as_diffusers_goes(monkeypatch, family, lora)
    exact = as_diffusers_goes(monkeypatch, *family_of(tiny))
    assert apart(one, exact) < 1.2 * apart(other, exact)


def test_recomputing_changes_no_bit(tiny: BaseModel) -> None:
    family, lora = family_of(tiny)
    plain = gone(family, lora)
    family.transformer.enable_gradient_checkpointing()
    again = gone(family, lora)
    assert torch.equal(plain[0], again[0])
    assert all(torch.equal(a, b) for a, b in zip(plain[1], again[1], strict=True))


def test_layers_in_8_bits_give_their_own_answers(tiny: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    family, lora = family_of(tiny, quantize="int8")
    assert apart(gone(family, lora), as_diffusers_goes(monkeypatch, family, lora)) < 1e-5


def test_with_the_lora_off_it_is_the_base(tiny: BaseModel) -> None:
    family, lora = family_of(tiny)
    with lora.off():
        family.transformer.requires_grad_(True)
        found = family.predict(torch.ones(1, 4, 8, 8), torch.ones(1), empty(), 1.0).detach()
        with torch.no_grad():
            base = family.predict(torch.ones(1, 4, 8, 8), torch.ones(1), empty(), 1.0)
    assert torch.allclose(found, base, atol=1e-5)


def empty() -> dict[str, torch.Tensor]:
    return {"prompt": torch.zeros(1, 32, 16), "pooled": torch.zeros(1, 16)}


def test_compiled_blocks_are_called_and_not_walked_past(tiny: BaseModel) -> None:
    family, _ = family_of(tiny)
    assert flux1_learning.fits(family.transformer)
    family.transformer.compile_repeated_blocks(backend="eager")
    assert not flux1_learning.fits(family.transformer)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_it_keeps_no_more_for_the_way_back(tiny: BaseModel, monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    family, lora = family_of(tiny, dtype)
    own = {weight.data_ptr() for weight in family.transformer.parameters()}
    mine = kept(lambda: gone(family, lora), own)
    assert mine <= kept(lambda: as_diffusers_goes(monkeypatch, family, lora), own)


def kept(work: Callable[[], Any], own: set[int]) -> int:
    """Bytes that autograd holds beside the model's own, each memory counted once."""
    held: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(storage.nbytes() for place, storage in held.items() if place not in own)
