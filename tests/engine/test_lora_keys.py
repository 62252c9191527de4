"""Names of LoRA tensors: every tool's spelling of a layer of FLUX.1 means the same layer."""

import pytest

from isengard.engine import lora_keys
from isengard.engine.lora_shapes import FLUX

TO_Q = ("transformer_blocks.3.attn.to_q",)
QKV = tuple(f"transformer_blocks.3.attn.to_{slice}" for slice in "qkv")


@pytest.mark.parametrize(
    ("key", "style", "modules"),
    [
        ("transformer.transformer_blocks.3.attn.to_q.lora_A.weight", "diffusers", TO_Q),
        ("transformer.transformer_blocks.3.attn.to_q.lora.down.weight", "diffusers", TO_Q),
        ("base_model.model.transformer_blocks.3.attn.to_q.lora_A.default.weight", "peft", TO_Q),
        ("base_model.model.transformer.transformer_blocks.3.attn.to_q.lora_A.weight", "peft", TO_Q),
        ("lora_transformer_transformer_blocks_3_attn_to_q.lora_down.weight", "kohya", TO_Q),
        ("lora_unet_double_blocks_3_img_attn_qkv.lora_down.weight", "kohya", QKV),
        ("diffusion_model.double_blocks.3.img_attn.qkv.lora_A.weight", "comfyui", QKV),
        ("diffusion_model.final_layer.adaLN_modulation.1.lora_A.weight", "comfyui", ("norm_out.linear",)),
        ("lora_unet_final_layer_linear.lora_down.weight", "kohya", ("proj_out",)),
    ],
)
def test_a_key_is_recognised(key: str, style: str, modules: tuple[str, ...]) -> None:
    found = lora_keys.named([key])
    assert (found.style, [place.modules for place in found.halves]) == (style, [modules])


def test_the_linear_of_a_single_block_is_cut_into_four() -> None:
    place = next(iter(lora_keys.named(["lora_unet_single_blocks_12_linear1.lora_up.weight"]).halves))
    assert [name.rpartition("s.12.")[2] for name in place.modules] == [
        "attn.to_q",
        "attn.to_k",
        "attn.to_v",
        "proj_mlp",
    ]


def test_two_tensors_for_one_half_are_not_both_known() -> None:
    twice = ["lora_unet_img_in.lora_down.weight", "diffusion_model.img_in.lora_A.weight"]
    assert lora_keys.named(twice).unknown == twice[1:]


@pytest.mark.parametrize(
    "key", ["transformer_blocks.3.attn.to_q.weight", "lora_unet_img_in.lora_mid.weight", "x.alpha"]
)
def test_any_other_key_is_unknown(key: str) -> None:
    assert lora_keys.named([key]).unknown == [key]


def test_every_layer_has_a_whole_layer_of_which_it_is_a_slice() -> None:
    for table, block in (
        (lora_keys.DOUBLE, "transformer_blocks.5."),
        (lora_keys.SINGLE, "single_transformer_blocks.5."),
    ):
        for name in table:
            assert f"{block}{name}" in lora_keys.whole(f"{block}{name}").modules


def test_every_layer_of_flux_has_a_size() -> None:
    names = [*lora_keys.OUTSIDE, *(f"transformer_blocks.18.{name}" for name in lora_keys.DOUBLE)]
    names += [f"single_transformer_blocks.37.{name}" for name in lora_keys.SINGLE]
    assert all(FLUX.size(name) for name in names)


def test_a_block_beyond_the_last_has_none() -> None:
    assert FLUX.size("single_transformer_blocks.38.proj_out") is None
