"""Key styles are spellings: whatever style a LoRA is written in, its weights and its pictures are the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxTransformer2DModel
from safetensors.torch import load_file, save_file

from isengard.engine import families, lora_convert, lora_file, lora_keys, lora_matrix, lora_shapes, sampling
from isengard.engine.errors import EngineError
from isengard.engine.specs import BaseModel

WIDTH = 32
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def geometry(tiny: BaseModel) -> lora_shapes.Geometry:
    return lora_shapes.of(Path(tiny.path))


def every_module() -> list[str]:
    blocks = [f"transformer_blocks.0.{name}" for name in lora_keys.DOUBLE]
    return [*lora_keys.OUTSIDE, *blocks, *(f"single_transformer_blocks.0.{name}" for name in lora_keys.SINGLE)]


def random_pair(layer: str, inputs: int, outputs: int, rank: int = 3, dtype: torch.dtype = torch.float32) -> Weights:
    generator = torch.Generator().manual_seed(len(layer) * 1000 + inputs)
    halves = {"A": torch.randn(rank, inputs, generator=generator), "B": torch.randn(outputs, rank, generator=generator)}
    return {f"{layer}.lora_{half}.weight": value.to(dtype) * 0.1 for half, value in halves.items()}


@pytest.fixture
def ours(geometry: lora_shapes.Geometry, tmp_path: Path) -> Path:
    """A LoRA on every layer that FLUX.1 has, in diffusers' style."""
    weights: Weights = {}
    for module in every_module():
        size = geometry.size(module)
        assert size is not None
        weights |= random_pair(f"transformer.{module}", *size)
    save_file(weights, tmp_path / "ours.safetensors", {"modelspec.title": "Anna"})
    return tmp_path / "ours.safetensors"


def saved(path: Path, weights: Weights, texts: dict[str, str] | None = None) -> Path:
    save_file({name: value.contiguous() for name, value in weights.items()}, path, texts)
    return path


def deltas(path: Path) -> Weights:
    """Module → what is added to its weight."""
    found = {name: torch.from_numpy(lora_matrix.floats(matrix).copy()) for name, matrix in lora_convert.tensors(path)}
    stems = [name.removesuffix(".lora_A.weight") for name in found if name.endswith(".lora_A.weight")]
    return {stem: found[f"{stem}.lora_B.weight"] @ found[f"{stem}.lora_A.weight"] for stem in stems}


def test_there_and_back_again_gives_equal_weights(ours: Path, tmp_path: Path) -> None:
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    lora_convert.to_diffusers(tmp_path / "k.safetensors", tmp_path / "d.safetensors")
    before, after = load_file(ours), load_file(tmp_path / "d.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_kohya_file_has_only_names_of_sd_scripts(ours: Path, tmp_path: Path) -> None:
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    names = load_file(tmp_path / "k.safetensors")
    assert all(name.startswith("lora_unet_") and "to_q" not in name for name in names)
    assert "lora_unet_single_blocks_0_linear1.alpha" in names


def test_the_alpha_of_each_pair_is_its_rank(ours: Path, tmp_path: Path) -> None:
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    weights = load_file(tmp_path / "k.safetensors")
    downs = {name: value.shape[0] for name, value in weights.items() if name.endswith("lora_down.weight")}
    assert all(weights[name.replace("lora_down.weight", "alpha")].item() == rank for name, rank in downs.items())


def test_the_last_layer_of_bfl_has_shift_before_scale(ours: Path, tmp_path: Path) -> None:
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    theirs = load_file(tmp_path / "k.safetensors")["lora_unet_final_layer_adaLN_modulation_1.lora_up.weight"]
    own = load_file(ours)["transformer.norm_out.linear.lora_B.weight"]
    assert torch.equal(theirs, torch.cat([own[WIDTH:], own[:WIDTH]]))


def flux_lora(path: Path) -> Path:
    """As FLUX.1 is wide, since diffusers' converter knows only that; one block of each kind."""
    weights: Weights = {}
    for block, table in (("transformer_blocks", lora_keys.DOUBLE), ("single_transformer_blocks", lora_keys.SINGLE)):
        for name in table:
            size = lora_shapes.FLUX.size(f"{block}.0.{name}")
            assert size is not None
            weights |= random_pair(f"transformer.{block}.0.{name}", *size, rank=1, dtype=torch.bfloat16)
    return saved(path, weights)


def test_diffusers_reads_our_kohya_file_as_the_same_weights(tmp_path: Path) -> None:
    from diffusers import FluxPipeline

    ours = flux_lora(tmp_path / "ours.safetensors")
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    theirs = FluxPipeline.lora_state_dict(str(tmp_path / "k.safetensors"))
    expected = load_file(ours)
    assert theirs.keys() == expected.keys()
    assert all(torch.equal(theirs[name].to(torch.bfloat16), expected[name]) for name in expected)


def qkv(style: str, rank: int, alpha: float | None = None) -> Weights:
    stem = {
        "kohya": "lora_unet_double_blocks_0_img_attn_qkv",
        "comfyui": "diffusion_model.double_blocks.0.img_attn.qkv",
    }
    halves = list(random_pair("x", WIDTH, 3 * WIDTH, rank).values())
    ends = ("lora_down", "lora_up") if style == "kohya" else ("lora_A", "lora_B")
    found = {f"{stem[style]}.{end}.weight": half for end, half in zip(ends, halves, strict=True)}
    return found | ({f"{stem[style]}.alpha": torch.tensor(alpha)} if alpha is not None else {})


@pytest.mark.parametrize("style", ["kohya", "comfyui"])
def test_a_fused_layer_that_was_trained_as_a_whole_is_cut_by_outputs(tmp_path: Path, style: str) -> None:
    weights = qkv(style, rank=6)
    down, up = weights.values()
    found = deltas(saved(tmp_path / "f.safetensors", weights))
    assert torch.allclose(torch.cat(list(found.values())), up @ down)


def test_a_fused_layer_goes_back_at_its_own_rank(tmp_path: Path) -> None:
    original = saved(tmp_path / "k.safetensors", qkv("kohya", rank=6))
    lora_convert.to_diffusers(original, tmp_path / "d.safetensors")
    lora_convert.to_kohya(tmp_path / "d.safetensors", tmp_path / "again.safetensors")
    before, after = load_file(original), load_file(tmp_path / "again.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("alpha", [1.0, 3.0, 12.0])
def test_alpha_is_multiplied_in(tmp_path: Path, alpha: float) -> None:
    plain = deltas(saved(tmp_path / "p.safetensors", qkv("kohya", rank=6)))
    found = deltas(saved(tmp_path / "a.safetensors", qkv("kohya", rank=6, alpha=alpha)))
    assert all(torch.allclose(found[name], plain[name] * alpha / 6, rtol=1e-5) for name in plain)


@pytest.mark.parametrize(
    ("told", "factor"),
    [
        ({"transformer.lora_alpha": 6}, 2),
        ({"transformer.lora_alpha": 3, "transformer.alpha_pattern": {"attn.to_q": 12}}, 4),
        ({"transformer.lora_alpha": 3, "transformer.use_rslora": True}, 3**0.5),
    ],
)
def test_the_alpha_that_diffusers_keeps_in_its_header_counts(
    tmp_path: Path, told: dict[str, Any], factor: float
) -> None:
    weights = random_pair("transformer.transformer_blocks.0.attn.to_q", WIDTH, WIDTH)
    plain = deltas(saved(tmp_path / "p.safetensors", weights))
    found = deltas(saved(tmp_path / "a.safetensors", weights, {"lora_adapter_metadata": json.dumps(told)}))
    assert all(torch.allclose(found[name], plain[name] * factor, rtol=1e-5) for name in plain)


def test_small_numbers_of_fp16_survive_a_small_alpha(tmp_path: Path) -> None:
    weights = {name: value.half() * 1e-3 for name, value in qkv("kohya", rank=64).items()}
    plain = deltas(saved(tmp_path / "p.safetensors", weights))
    alpha = {"lora_unet_double_blocks_0_img_attn_qkv.alpha": torch.tensor(1.0)}
    found = deltas(saved(tmp_path / "a.safetensors", weights | alpha))
    for name in plain:
        assert torch.allclose(found[name] * 64, plain[name], rtol=2e-2, atol=float(plain[name].abs().max()) * 2e-3)


@pytest.mark.parametrize("missing", ["attn.to_k", "attn.to_q", "proj_mlp"])
def test_a_slice_that_was_not_trained_stays_away(ours: Path, tmp_path: Path, missing: str) -> None:
    kept = {
        name: value for name, value in load_file(ours).items() if f"single_transformer_blocks.0.{missing}." not in name
    }
    lora_convert.to_kohya(saved(tmp_path / "d.safetensors", kept), tmp_path / "k.safetensors")
    lora_convert.to_diffusers(tmp_path / "k.safetensors", tmp_path / "back.safetensors")
    assert load_file(tmp_path / "back.safetensors").keys() == kept.keys()


def test_slices_of_unequal_rank_keep_their_effect(tmp_path: Path) -> None:
    weights = random_pair("transformer.transformer_blocks.0.attn.to_q", WIDTH, WIDTH, rank=2)
    weights |= random_pair("transformer.transformer_blocks.0.attn.to_v", WIDTH, WIDTH, rank=5)
    ours = saved(tmp_path / "d.safetensors", weights)
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    before, after = deltas(ours), deltas(tmp_path / "k.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name]) for name in before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(tmp_path: Path, dtype: torch.dtype, value: float) -> None:
    weights = random_pair("transformer.transformer_blocks.0.attn.to_q", WIDTH, WIDTH, dtype=dtype)
    next(iter(weights.values()))[1, 2] = value
    with pytest.raises(EngineError) as caught:
        list(lora_convert.tensors(saved(tmp_path / "x.safetensors", weights)))
    assert caught.value.code == "lora_not_finite"


def test_a_bf16_number_is_rounded_as_torch_rounds_it() -> None:
    numbers = torch.randn(4096, generator=torch.Generator().manual_seed(1)) * 10
    bits = lora_matrix.of_floats(numbers.numpy(), "BF16").bits
    assert np.array_equal(bits.view(np.int16), numbers.to(torch.bfloat16).view(torch.int16).numpy())


def test_our_own_file_is_canonical_and_kohyas_is_not(ours: Path, tmp_path: Path) -> None:
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    assert lora_convert.is_canonical(ours) and not lora_convert.is_canonical(tmp_path / "k.safetensors")


def test_a_converted_file_keeps_its_texts_and_has_its_own_digest(ours: Path, tmp_path: Path) -> None:
    lora_convert.to_kohya(ours, tmp_path / "k.safetensors")
    header = lora_file.inspect(tmp_path / "k.safetensors")
    assert header.metadata["modelspec.title"] == "Anna"
    assert header.metadata["modelspec.hash_sha256"] == f"0x{header.tensor_hash}"


def draw(base: BaseModel, lora: Path | None) -> torch.Tensor:
    family = families.load(base, torch.device("cpu"), torch.float32)
    if lora is not None:
        family.load_lora(lora, "worn")
    words = family.encode_prompts(["a photo of ohwx"])
    return sampling.draw(family, words, words, seeds=[1], look=sampling.Look(32, 32, 2, 2.5))


@pytest.mark.parametrize("write", [lora_convert.to_kohya, lora_convert.to_diffusers])
def test_the_picture_is_the_same_in_every_style(
    tiny: BaseModel, ours: Path, tmp_path: Path, write: Callable[[Path, Path], None]
) -> None:
    write(ours, tmp_path / "other.safetensors")
    plain, first, second = (draw(tiny, path) for path in (None, ours, tmp_path / "other.safetensors"))
    assert torch.equal(first, second) and not torch.equal(first, plain)


def test_what_is_loaded_is_added_to_the_weights_in_full(tiny: BaseModel, ours: Path) -> None:
    """The same picture comes of adding every B · A to the model's own weights."""
    family = families.load(tiny, torch.device("cpu"), torch.float32)
    transformer: FluxTransformer2DModel = family.transformer
    layers = dict(transformer.named_modules())
    for name, delta in deltas(ours).items():
        layers[name.removeprefix("transformer.")].weight.data += delta
    words = family.encode_prompts(["a photo of ohwx"])
    merged = sampling.draw(family, words, words, seeds=[1], look=sampling.Look(32, 32, 2, 2.5))
    assert torch.allclose(merged, draw(tiny, ours), atol=1e-4)
