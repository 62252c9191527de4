"""What the tensors of a LoRA are called, tool by tool, and which layers of FLUX.1 they mean. No torch, no numpy.

Two naming systems are in use: diffusers' (split q, k, v) and Black Forest Labs' (fused), each with dots or underscores
and behind one of several prefixes. Dots and underscores are told apart nowhere here, so one table reads them all."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

Half = Literal["A", "B", "alpha"]
Style = Literal["diffusers", "peft", "kohya", "comfyui"]

# Diffusers' name of each part of a block, and the layer of BFL's model that it is, or is a slice of.
DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.to_q": "img_attn.qkv",
    "attn.to_k": "img_attn.qkv",
    "attn.to_v": "img_attn.qkv",
    "attn.to_out.0": "img_attn.proj",
    "attn.add_q_proj": "txt_attn.qkv",
    "attn.add_k_proj": "txt_attn.qkv",
    "attn.add_v_proj": "txt_attn.qkv",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
SINGLE = {
    "norm.linear": "modulation.lin",
    "attn.to_q": "linear1",
    "attn.to_k": "linear1",
    "attn.to_v": "linear1",
    "proj_mlp": "linear1",
    "proj_out": "linear2",
}
OUTSIDE = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
BLOCKS = (
    ("transformer_blocks", "double_blocks", DOUBLE),
    ("single_transformer_blocks", "single_blocks", SINGLE),
)
# The same numbers in another order: BFL has (shift, scale), diffusers (scale, shift).
SWAPPED = "norm_out.linear"

PREFIXES: tuple[tuple[str, Style], ...] = (
    ("transformer.", "diffusers"),
    ("base_model.model.", "peft"),
    ("lora_unet_", "kohya"),
    ("lora_transformer_", "kohya"),
    ("lycoris_", "kohya"),
    ("diffusion_model.", "comfyui"),
)
_HALF = re.compile(r"\.(?:(?P<A>lora_A|lora_down|lora\.down)|(?P<B>lora_B|lora_up|lora\.up))(?:\.default)?\.weight$")
_TEXT = re.compile(r"(?:lora_te\d?_|text_encoders?(?:_\d)?\.|te\d?\.|conditioner\.)")
_BLOCK = re.compile(r"(double_blocks|single_blocks|transformer_blocks|single_transformer_blocks)_(\d{1,3})_(.+)")


@dataclass(frozen=True)
class Place:
    """The layers (diffusers' names) that one pair of matrices acts on: one, or the slices of a fused one in order."""

    modules: tuple[str, ...]
    fused: str  # BFL's name of the whole layer


@dataclass
class Named:
    """The tensors of a file by what they mean. `halves`: place → half → the tensor's own name."""

    halves: dict[Place, dict[Half, str]] = field(default_factory=dict)
    styles: dict[str, int] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def style(self) -> str:
        """The prevailing one; `diffusers` where nothing was recognised."""
        return max(self.styles, key=lambda name: self.styles[name], default="diffusers")


def named(keys: Iterable[str]) -> Named:
    """Every key of a file in its place; a second tensor for the same half counts as unknown."""
    found = Named()
    for key in keys:
        if _TEXT.match(key):
            found.text.append(key)
        elif (known := _place(key)) is None or known[1] in found.halves.get(known[0], {}):
            found.unknown.append(key)
        else:
            place, half, style = known
            found.halves.setdefault(place, {})[half] = key
            found.styles[style] = found.styles.get(style, 0) + 1
    return found


def _place(key: str) -> tuple[Place, Half, Style] | None:
    stem, half = _half(key)
    style: Style | None = None
    # Raw dumps carry two prefixes: base_model.model.transformer.…
    for prefix, name in (*PREFIXES, *PREFIXES):
        if stem.startswith(prefix):
            stem, style = stem.removeprefix(prefix), style or name
    if half is None or style is None:
        return None
    place = places().get(_numberless(stem))
    return (_numbered(place, stem), half, style) if place is not None else None


def _half(key: str) -> tuple[str, Half | None]:
    if key.endswith(".alpha"):
        return key.removesuffix(".alpha"), "alpha"
    match = _HALF.search(key)
    if match is None:
        return key, None
    return key[: match.start()], "A" if match["A"] else "B"


def _numberless(stem: str) -> str:
    """The layer's name without dots, with * for the number of its block."""
    flat = stem.replace(".", "_")
    block = _BLOCK.fullmatch(flat)
    return f"{block[1]}_*_{block[3]}" if block else flat


def _numbered(place: Place, stem: str) -> Place:
    block = _BLOCK.fullmatch(stem.replace(".", "_"))
    number = str(int(block[2])) if block else ""
    return Place(tuple(name.replace("*", number) for name in place.modules), place.fused.replace("*", number))


@cache
def places() -> dict[str, Place]:
    """Flat name without block number → place, in both naming systems."""
    found: dict[str, Place] = {}
    for theirs, bfl, table in (("", "", OUTSIDE), *((f"{one}.*.", f"{two}.*.", table) for one, two, table in BLOCKS)):
        for module, whole in table.items():
            fused = f"{bfl}{whole}"
            slices = tuple(f"{theirs}{name}" for name, layer in table.items() if layer == whole)
            found[f"{theirs}{module}".replace(".", "_")] = Place((f"{theirs}{module}",), fused)
            found[fused.replace(".", "_")] = Place(slices, fused)
    return found


def whole(module: str) -> Place:
    """The place of the whole BFL layer that a diffusers layer is, or is a slice of. KeyError: no layer of FLUX.1."""
    one = places()[_numberless(module)]
    return _numbered(places()[one.fused.replace(".", "_")], module)


def diffusers_key(module: str, half: Literal["A", "B"]) -> str:
    return f"transformer.{module}.lora_{half}.weight"


def kohya_key(place: Place, half: Half) -> str:
    """E.g. lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight."""
    ends = {"A": "lora_down.weight", "B": "lora_up.weight", "alpha": "alpha"}
    return f"lora_unet_{place.fused.replace('.', '_')}.{ends[half]}"


def order(module: str) -> tuple[int, int, int]:
    """Sorts layers as the model runs them: outside, double, single, each block by its number."""
    flat = _numberless(module)
    block = _BLOCK.fullmatch(module.replace(".", "_"))
    kind = 0 if block is None else 1 if block[1] == "transformer_blocks" else 2
    return kind, int(block[2]) if block else 0, list(places()).index(flat)
