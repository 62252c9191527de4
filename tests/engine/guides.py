"""Toy guides with random weights for the tiny base of tiny.py: ControlNets, an IP-Adapter, a depth and a pose model."""

import json
from pathlib import Path

import torch
from diffusers import FluxControlNetModel
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

WIDTH, WORDS, SEES = 32, 16, 8
SIZES = {
    "in_channels": 16,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 16,
    "pooled_projection_dim": 16,
    "axes_dims_rope": (4, 6, 6),
}


def controlnet(folder: Path, *, modes: int | None = None, pixels: bool = False, guidance: bool = True) -> Path:
    """A ControlNet that acts: the layers which training begins with at zero are random here."""
    torch.manual_seed(1)
    hint = {"patch_size": 1, "conditioning_embedding_channels": 16} if pixels else {}
    net = FluxControlNetModel(**SIZES, num_mode=modes, guidance_embeds=guidance, **hint)
    for layer in (*net.controlnet_blocks, *net.controlnet_single_blocks, net.controlnet_x_embedder):
        torch.nn.init.normal_(layer.weight, std=0.3)
    if pixels:
        torch.nn.init.normal_(net.input_hint_block.conv_out.weight, std=0.3)
    net.save_pretrained(folder)
    return folder


def adapter(folder: Path) -> Path:
    """An IP-Adapter as XLabs publishes it, with its CLIP."""
    torch.manual_seed(2)
    block = "double_blocks.0.processor.ip_adapter_double_stream"
    weights = {"ip_adapter_proj_model.proj.weight": torch.randn(4 * WORDS, SEES)}
    weights |= {"ip_adapter_proj_model.proj.bias": torch.zeros(4 * WORDS)}
    weights |= {f"ip_adapter_proj_model.norm.{name}": torch.ones(WORDS) for name in ("weight", "bias")}
    for half in "kv":
        weights[f"{block}_{half}_proj.weight"] = torch.randn(WIDTH, WORDS)
        weights[f"{block}_{half}_proj.bias"] = torch.zeros(WIDTH)
    folder.mkdir(parents=True)
    save_file(weights, folder / "ip_adapter.safetensors")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPVisionConfig(**sizes, image_size=32, patch_size=16, projection_dim=SEES)
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    CLIPImageProcessor(size=32, crop_size=32).save_pretrained(folder / "image_encoder")
    return folder


def depth(folder: Path) -> Path:
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    shape = {"image_size": 32, "patch_size": 16, "backbone_out_indices": [0, 1, 2, 3], "is_hybrid": False}
    neck = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "use_auxiliary_head": False}
    DPTForDepthEstimation(DPTConfig(**sizes, **shape, **neck)).save_pretrained(folder)
    DPTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def pose(folder: Path) -> Path:
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessor

    torch.manual_seed(4)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 2}
    back = VitPoseBackboneConfig(image_size=[64, 48], patch_size=[16, 16], out_indices=[1], **sizes)
    labels = {index: str(index) for index in range(17)}
    VitPoseForPoseEstimation(VitPoseConfig(backbone_config=back, id2label=labels)).save_pretrained(folder)
    VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)
    return folder


def embedded(folder: Path) -> None:
    """Makes a tiny base guide as FLUX.1-dev does."""
    (folder / "pocket.json").write_text(json.dumps({"max_sequence_length": 32}))
