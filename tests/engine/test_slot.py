"""The slot in which compiled blocks wear LoRAs: the picture is that of adapters, and nothing of it stays behind."""

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from diffusers import FluxTransformer2DModel
from peft.tuners.lora import LoraLayer

from isengard.engine import speed
from isengard.engine.families.pace import Pace
from isengard.engine.families.slot import ADAPTER, Slot, Weights
from isengard.engine.pipelines import Registry
from isengard.engine.sampling import Look, draw
from isengard.engine.specs import BaseModel, LoraRef

pytestmark = pytest.mark.integration
FAST = speed.get("fast")


@pytest.fixture
def registry(tiny: BaseModel, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Fast without its compiling, which changes no number here."""
    monkeypatch.setattr(Pace, "_compile", lambda *_: None)
    registry = Registry("cpu")
    registry.use(tiny)
    return registry


def drawn(registry: Registry, *loras: LoraRef) -> torch.Tensor:
    registry.wear(loras)
    family = registry._require()
    embeds, empty = (family.encode_prompts([text]) for text in ("a photo", ""))
    return draw(family, embeds, empty, seeds=[3], look=Look(32, 32, 2, 2.5))


@pytest.mark.parametrize("strengths", [(1.0,), (0.3,), (1.0, -0.5)])
def test_it_draws_what_adapters_draw(
    registry: Registry, loras: tuple[LoraRef, LoraRef], strengths: tuple[float, ...]
) -> None:
    worn = [replace(lora, strength=strength) for lora, strength in zip(loras, strengths, strict=False)]
    plain, exact = drawn(registry), drawn(registry, *worn)
    registry.hasten(FAST)
    assert torch.allclose(drawn(registry, *worn), exact, atol=1e-5)
    assert not torch.allclose(exact, plain, atol=1e-3)


def test_emptied_it_changes_nothing(registry: Registry, loras: tuple[LoraRef, LoraRef]) -> None:
    plain = drawn(registry)
    registry.hasten(FAST)
    drawn(registry, *loras)
    assert torch.equal(drawn(registry), plain)


def test_exact_after_fast_has_the_bits_of_before(registry: Registry, loras: tuple[LoraRef, LoraRef]) -> None:
    exact = [drawn(registry, *worn) for worn in ((), loras)]
    registry.hasten(FAST)
    drawn(registry, loras[1])
    registry.hasten(speed.EXACT)
    assert all(torch.equal(drawn(registry, *worn), bits) for worn, bits in zip(((), loras), exact, strict=True))


def model() -> Any:
    sizes = {"in_channels": 16, "num_attention_heads": 2, "attention_head_dim": 16, "axes_dims_rope": (4, 6, 6)}
    texts = {"joint_attention_dim": 16, "pooled_projection_dim": 16}
    return FluxTransformer2DModel(patch_size=1, num_layers=2, num_single_layers=1, **sizes, **texts)


def weights(rank: int, name: str = "transformer_blocks.1.attn.to_q") -> Weights:
    return {name: (torch.ones(rank, 32), torch.ones(32, rank))}


def carrying(denoiser: Any) -> set[str]:
    return {
        name for name, layer in denoiser.named_modules() if isinstance(layer, LoraLayer) and ADAPTER in layer.lora_A
    }


def test_every_block_carries_the_layers_that_one_is_given() -> None:
    slot = Slot(denoiser := model(), torch.float32)
    slot.fill([(weights(4), 1.0)])
    assert carrying(denoiser) == {f"transformer_blocks.{block}.attn.to_q" for block in (0, 1)}


def test_it_grows_by_layers_that_are_new_and_keeps_the_old_ones() -> None:
    slot = Slot(denoiser := model(), torch.float32)
    slot.fill([(weights(4), 1.0)])
    slot.fill([(weights(4, "single_transformer_blocks.0.attn.to_q"), 1.0)])
    assert len(carrying(denoiser)) == 3 and not denoiser.transformer_blocks[1].attn.to_q.lora_A[ADAPTER].weight.any()


@pytest.mark.parametrize(("ranks", "room"), [((4,), 32), ((16, 16), 32), ((16, 17), 64), ((), 32)])
def test_its_rank_is_that_of_all_that_is_worn_rounded_up(ranks: tuple[int, ...], room: int) -> None:
    slot = Slot(denoiser := model(), torch.float32)
    slot.fill([(weights(100), 1.0)])
    slot.fill([(weights(rank), 1.0) for rank in ranks])
    layer = denoiser.transformer_blocks[1].attn.to_q
    assert layer.lora_A[ADAPTER].weight.shape[0] == room and layer.lora_A[ADAPTER].weight.sum() == sum(ranks) * 32


def test_it_holds_the_number_format_of_the_base() -> None:
    slot = Slot(denoiser := model().to(torch.bfloat16), torch.bfloat16)
    slot.fill([(weights(4), 1.0)])
    assert denoiser.transformer_blocks[0].attn.to_q.lora_B[ADAPTER].weight.dtype == torch.bfloat16


def test_taken_off_no_layer_carries_it() -> None:
    slot = Slot(denoiser := model(), torch.float32)
    slot.fill([(weights(4), 1.0)])
    slot.remove()
    assert not carrying(denoiser)
