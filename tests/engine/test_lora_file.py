"""Header check of LoRA files: ours, other tools', other families', broken ones and hostile ones."""

import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isengard.engine import catalog, lora_file, parameters
from isengard.engine.errors import EngineError
from isengard.engine.specs import BaseModel
from isengard.version import VERSION

MADE = lora_file.Provenance(
    base_key="pocket",
    family="flux1",
    title="Anna Smith v2",
    trigger_word="ohwx",
    class_word="woman",
    rank=4,
    steps=500,
    learning_rate=1e-3,
    seed=7,
    images=12,
    class_images=32,
    resolution=64,
    batch_size=4,
    caption_dropout=0.0,
    targets=("transformer_blocks.0.attn.to_q",),
)
Q = "transformer.transformer_blocks.0.attn.to_q"


def write(path: Path, tensors: dict[str, list[int]], metadata: dict[str, str] | None = None, **change: Any) -> Path:
    """A safetensors file of zeros, with one header entry bent by `change` where it is given."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in tensors.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end], **change}
    if metadata is not None:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path


def pair(layer: str, rank: int, inputs: int, outputs: int) -> dict[str, list[int]]:
    return {f"{layer}.lora_A.weight": [rank, inputs], f"{layer}.lora_B.weight": [outputs, rank]}


def ours(path: Path, width: int = 32) -> Path:
    return write(path, pair(Q, 4, width, width), lora_file.metadata(MADE, "ab" * 32))


def refused(path: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        lora_file.inspect(path)
    return caught.value


def test_our_file_tells_base_trigger_rank_and_width(tmp_path: Path) -> None:
    header = lora_file.inspect(ours(tmp_path / "a.safetensors"))
    assert (header.base_key, header.trigger, header.rank, header.width) == ("pocket", "ohwx", 4, 32)


def test_alpha_equals_rank_wherever_a_tool_looks_for_it() -> None:
    told = lora_file.metadata(MADE, "")
    adapter = json.loads(told["lora_adapter_metadata"])
    assert told["ss_network_alpha"] == told["ss_network_dim"] == "4"
    assert adapter["transformer.lora_alpha"] == adapter["transformer.r"] == 4


def test_the_alpha_of_the_training_is_told_apart_from_the_files() -> None:
    told = lora_file.metadata(replace(MADE, alpha=2.0), "")
    assert (json.loads(told["isengard"])["alpha"], told["ss_network_alpha"]) == (2.0, "4")


@pytest.mark.parametrize("name", next(one for one in parameters.TRAINING if one.name == "optimizer").choices)
def test_every_optimizer_has_its_name_of_sd_scripts(name: str) -> None:
    assert "." in lora_file.metadata(replace(MADE, optimizer=name), "")["ss_optimizer"]


@pytest.mark.parametrize("name", next(one for one in parameters.TRAINING if one.name == "lr_schedule").choices)
def test_every_schedule_has_its_name_of_sd_scripts(name: str) -> None:
    assert lora_file.metadata(replace(MADE, lr_schedule=name), "")["ss_lr_scheduler"]


def test_every_value_of_the_header_is_text() -> None:
    assert all(isinstance(value, str) for value in lora_file.metadata(MADE, "").values())


def test_the_file_name_in_the_header_is_plain_ascii() -> None:
    told = lora_file.metadata(replace(MADE, title="Änna/../ü \\ v2"), "")
    assert told["ss_output_name"] == "nna-..-v2"


def test_the_trigger_is_found_by_tools_that_mine_tag_frequencies() -> None:
    tags = json.loads(lora_file.metadata(MADE, "")["ss_tag_frequency"])
    assert tags == {"Anna-Smith-v2": {"ohwx": 12}}


def test_a_kohya_file_of_flux_is_recognised(tmp_path: Path) -> None:
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    shapes = {f"{name}.lora_down.weight": [16, 3072], f"{name}.lora_up.weight": [9216, 16], f"{name}.alpha": []}
    header = lora_file.inspect(write(tmp_path / "k.safetensors", shapes))
    assert (header.style, header.width, header.base_key) == ("kohya", 3072, "flux-dev")


@pytest.mark.parametrize(
    "key",
    [
        "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
        "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
        "unet.down_blocks.0.attentions.0.proj_in.lora_A.weight",
        "transformer.layers.0.attention.to_q.lora_A.weight",
        "diffusion_model.blocks.0.cross_attn.q.lora_A.weight",
    ],
)
def test_a_file_of_another_family_is_named_as_such(tmp_path: Path, key: str) -> None:
    error = refused(write(tmp_path / "x.safetensors", {key: [4, 320]}))
    assert error.code == "lora_other_family"


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_k.lora_down.weight", "Stable Diffusion XL"),
        ("transformer.transformer_blocks.0.img_mlp.net.0.proj.lora_A.weight", "Qwen-Image"),
        ("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "Wan"),
        ("diffusion_model.layers.0.attention.qkv.lora_A.weight", "Z-Image"),
        ("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj.lora_A.weight", "FLUX.2"),
    ],
)
def test_the_other_family_is_called_by_its_name(tmp_path: Path, key: str, family: str) -> None:
    tensors = pair(Q, 4, 320, 320) | {key: [4, 320]}
    assert family in refused(write(tmp_path / "x.safetensors", tensors)).message


@pytest.mark.parametrize("end", ["lokr_w1", "hada_w1_a", "dora_scale", "diff"])
def test_other_methods_than_lora_are_refused_as_such(tmp_path: Path, end: str) -> None:
    error = refused(write(tmp_path / "x.safetensors", {f"lora_unet_double_blocks_0_img_attn_qkv.{end}": [4, 4]}))
    assert error.code == "lora_other_method"


def test_no_more_than_twenty_unknown_keys_are_listed(tmp_path: Path) -> None:
    strange = {f"transformer.transformer_blocks.{i}.attn.extra.lora_A.weight": [4, 32] for i in range(30)}
    error = refused(write(tmp_path / "x.safetensors", pair(Q, 4, 32, 32) | strange))
    assert error.message.count("attn.extra") == 20
    assert "30 parts" in error.message and "and 10 more" in error.message


def test_text_encoder_tensors_are_told_and_not_counted_as_unknown(tmp_path: Path) -> None:
    text = {"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": [4, 768]}
    header = lora_file.inspect(write(tmp_path / "x.safetensors", pair(Q, 4, 32, 32) | text))
    assert header.text == tuple(text)


def test_a_file_of_text_encoder_layers_alone_is_refused(tmp_path: Path) -> None:
    text = {"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": [4, 768]}
    assert "text encoders alone" in refused(write(tmp_path / "x.safetensors", text)).message


def test_a_half_without_the_other_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "x.safetensors", {f"{Q}.lora_A.weight": [4, 32]}))
    assert error.code == "lora_wrong_shapes"
    assert error.message.startswith("1 layer of this LoRA does not fit") and "attn.to_q" in error.message


def test_halves_of_different_ranks_are_refused(tmp_path: Path) -> None:
    shapes = {f"{Q}.lora_A.weight": [4, 32], f"{Q}.lora_B.weight": [32, 8]}
    assert "ranks 4 and 8" in refused(write(tmp_path / "x.safetensors", shapes)).message


def test_rank_zero_is_refused(tmp_path: Path) -> None:
    assert "rank 0" in refused(write(tmp_path / "x.safetensors", pair(Q, 0, 32, 32))).message


def test_a_fused_layer_of_another_size_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "x.safetensors", pair("diffusion_model.double_blocks.0.img_attn.qkv", 4, 32, 64)))
    assert "FLUX.1 has 96" in error.message


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x80\x02}q", b"\x80\x04\x95"])
def test_a_pickle_is_refused_unopened(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(start + bytes(100))
    assert refused(path).code == "lora_pickle"


def test_a_file_of_no_bytes_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.touch()
    assert "empty" in refused(path).message


def test_unknown_keys_beside_known_ones_are_listed(tmp_path: Path) -> None:
    strange = "transformer.transformer_blocks.0.attn.extra.lora_A.weight"
    error = refused(write(tmp_path / "x.safetensors", pair(Q, 4, 32, 32) | {strange: [4, 32]}))
    assert error.code == "lora_unknown_keys"
    assert "changes 1 part that" in error.message and strange in error.message


def test_a_model_that_is_no_lora_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "x.safetensors", {"model.weight": [4, 32]}))
    assert error.code == "not_a_lora"


@pytest.mark.parametrize("size", [0, 4, 8, 40, -1])
def test_a_cut_off_file_is_refused(tmp_path: Path, size: int) -> None:
    path = ours(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:size])
    assert refused(path).code == "not_a_lora"


def test_bytes_after_the_last_tensor_are_refused(tmp_path: Path) -> None:
    path = ours(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes() + b"more")
    assert refused(path).code == "not_a_lora"


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "I64"},
        {"dtype": []},
        {"shape": [-4, -32]},
        {"shape": [1 << 60, 1 << 60]},
        {"shape": "big"},
        {"shape": [True, 128]},
        {"data_offsets": [0]},
        {"data_offsets": [512, 0]},
        {"data_offsets": [1.0, 513.0]},
        {"data_offsets": None},
    ],
)
def test_an_impossible_tensor_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    assert refused(write(tmp_path / "x.safetensors", {f"{Q}.lora_A.weight": [4, 32]}, **change)).code == "not_a_lora"


@pytest.mark.parametrize(
    "text", [b"[1, 2]", b"null", b'{"a": ', b"[" * 5000, b"\xff\xfe{}", b"{}", b'{"__metadata__": 3}']
)
def test_a_strange_header_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    assert refused(path).code == "not_a_lora"


def test_a_header_longer_than_the_file_is_refused_without_reading(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert refused(path).code == "not_a_lora"


def test_more_tensors_than_any_lora_has_are_refused(tmp_path: Path) -> None:
    many = {f"transformer.transformer_blocks.{i}.attn.to_q.lora_A.weight": [1, 1] for i in range(20_001)}
    assert refused(write(tmp_path / "x.safetensors", many)).code == "not_a_lora"


@pytest.mark.parametrize(
    "metadata", [{"isengard": "[["}, {"ss_tag_frequency": "{", "isengard": "[]"}, {"isengard": "3"}]
)
def test_broken_metadata_does_no_harm(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = write(tmp_path / "x.safetensors", pair(Q, 4, 32, 32), metadata)
    assert lora_file.inspect(path).base_key == ""


def base(folder: Path, heads: int) -> BaseModel:
    (folder / "transformer").mkdir(parents=True)
    config = {"num_attention_heads": heads, "attention_head_dim": 16, "num_layers": 1, "num_single_layers": 1}
    config |= {"in_channels": 16, "joint_attention_dim": 16, "pooled_projection_dim": 16}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return BaseModel("pocket", "flux1", str(folder))


def test_a_lora_fits_a_base_of_its_own_width(tmp_path: Path) -> None:
    lora_file.require_fit(lora_file.inspect(ours(tmp_path / "a.safetensors")), base(tmp_path / "base", 2))


def test_a_lora_of_flux_does_not_fit_pocket_and_says_why(tmp_path: Path) -> None:
    header = lora_file.inspect(write(tmp_path / "x.safetensors", pair(Q, 16, 3072, 3072)))
    with pytest.raises(EngineError, match=r"trained for FLUX.1-dev.*the base model is Pocket"):
        lora_file.require_fit(header, base(tmp_path / "base", 2))


def test_a_block_that_the_base_does_not_have_is_named(tmp_path: Path) -> None:
    header = lora_file.inspect(write(tmp_path / "x.safetensors", pair(Q.replace(".0.", ".7."), 4, 32, 32)))
    with pytest.raises(EngineError, match=r"transformer_blocks\.7\.attn\.to_q \(the base model has no such layer\)"):
        lora_file.require_fit(header, base(tmp_path / "base", 2))


def test_a_layer_of_another_size_is_named(tmp_path: Path) -> None:
    shapes = (
        pair(Q, 4, 32, 32) | pair(Q.replace("to_q", "to_k"), 4, 32, 32) | pair(Q.replace("to_q", "to_v"), 4, 32, 64)
    )
    header = lora_file.inspect(write(tmp_path / "x.safetensors", shapes))
    with pytest.raises(EngineError, match=r"to_v \(32 to 64, where the base model has 32 to 32\)"):
        lora_file.require_fit(header, base(tmp_path / "base", 2))


def test_the_file_tells_which_weights_of_its_base_it_was_trained_on(tmp_path: Path) -> None:
    told = json.loads(lora_file.metadata(MADE, "")["isengard"])
    assert told["base_version"] == catalog.get("pocket").version
    assert lora_file.inspect(ours(tmp_path / "a.safetensors")).base_version == told["base_version"]


def test_the_file_tells_which_studio_made_it() -> None:
    assert json.loads(lora_file.metadata(MADE, "")["isengard"])["studio"] == VERSION
