"""What a LoRA is that is not one of FLUX.1: other models by the names of their layers, other methods by their tensors.

Facts for a refusal that says what the file is. No torch, no numpy."""

import re
from collections.abc import Iterable

from isengard.engine.errors import EngineError
from isengard.engine.words import counted

LISTED = 20
# The first row that matches any key names the method; none of these is a pair of matrices.
METHODS = (
    (re.compile(r"lokr_w|\.lokr"), "LoKr (LyCORIS)"),
    (re.compile(r"hada_w"), "LoHa (LyCORIS)"),
    (re.compile(r"oft_(?:blocks|diag|R)"), "OFT"),
    (re.compile(r"dora_scale|lora_magnitude_vector"), "DoRA"),
    (re.compile(r"\.diff(?:_b)?$"), "a difference of whole weights"),
    (re.compile(r"glora|\.a1\.|\.b1\."), "GLoRA"),
)
# The first row that matches any key names the family, so the telling ones come before the general ones.
FAMILIES = (
    (re.compile(r"lora_te2_text_model|text_encoder_2\.text_model"), "Stable Diffusion XL"),
    (re.compile(r"(?:input|output|middle)_blocks?_\d+_1_transformer_blocks_[1-9]"), "Stable Diffusion XL"),
    (
        re.compile(r"(?:unet|lora_unet)[._](?:down|up|mid|input|output|middle)_block|^lora_te_text_model"),
        "Stable Diffusion",
    ),
    (re.compile(r"joint_blocks"), "Stable Diffusion 3"),
    (re.compile(r"distilled_guidance_layer"), "Chroma"),
    (re.compile(r"to_qkv_mlp_proj|double_stream_modulation|single_stream_modulation|ff\.linear_in"), "FLUX.2"),
    (re.compile(r"transformer_blocks[._]\d+[._](?:img|txt)_(?:mlp|mod)"), "Qwen-Image"),
    (re.compile(r"token_refiner|individual_token_refiner"), "HunyuanVideo"),
    (re.compile(r"blocks[._]\d+[._](?:self_attn|cross_attn)"), "Wan video"),
    (re.compile(r"transformer_blocks[._]\d+[._]attn1"), "LTX-Video, PixArt or another video model"),
    (re.compile(r"noise_refiner|context_refiner|layers[._]\d+[._](?:attention|feed_forward)"), "Z-Image or Lumina"),
    (re.compile(r"processor\.\w+_lora\d?\."), "FLUX.1 in XLabs' key style, which is not read here"),
)
# Hidden sizes of models whose layers are called as FLUX.1's are.
WIDTHS = {
    1536: "Stable Diffusion 3 medium",
    2432: "Stable Diffusion 3.5 large",
    4096: "FLUX.2 klein 9B",
    6144: "FLUX.2-dev",
}


def refuse(unknown: list[str], text_encoder: list[str], known: int) -> EngineError:
    """The error for a file with keys that no table has; `known`: how many tensors were recognised."""
    if method := _first(METHODS, unknown):
        text = f"This file is {method}, not a plain LoRA, and is not read here: {_listed(unknown)}."
        return EngineError("lora_other_method", text)
    if family := _first(FAMILIES, [*unknown, *text_encoder]):
        text = f"This LoRA was made for {family}, not for FLUX.1. Choose a FLUX.1 LoRA."
        return EngineError("lora_other_family", text)
    if known:
        text = f"This LoRA changes {counted(len(unknown), 'part')} that FLUX.1 does not have, so it is not loaded: "
        return EngineError("lora_unknown_keys", f"{text}{_listed(unknown)}.")
    what = f"no LoRA layers ({_listed(unknown)})" if unknown else "layers of text encoders alone, which are not used"
    text = f"This is not a usable LoRA file: it holds {what}. "
    return EngineError("not_a_lora", text + "Choose a .safetensors LoRA of FLUX.1.")


def misshapen(problems: list[str]) -> EngineError:
    """The error for layers whose matrices do not belong together, or not to this model."""
    fit = "does not fit" if len(problems) == 1 else "do not fit"
    text = f"{counted(len(problems), 'layer')} of this LoRA {fit}, so it is not loaded: {_listed(problems)}."
    return EngineError("lora_wrong_shapes", text)


def made_for(width: int) -> str:
    """Which model has this hidden size, as far as one is known."""
    return WIDTHS.get(width, "another model")


def _first(rows: tuple[tuple[re.Pattern[str], str], ...], keys: Iterable[str]) -> str:
    keys = list(keys)
    return next((name for pattern, name in rows if any(pattern.search(key) for key in keys)), "")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(name[:120] for name in names[:LISTED]) + more
