"""What this installation offers, for `/api/info` and the pages: knobs, base models and features, with a reason for each
that is not there. Facts only, from the catalogue and the machine; imports no torch."""

import math
from pathlib import Path
from typing import Any

from isengard.engine import catalog, plan, samplers, speed, tools
from isengard.engine.capabilities import Capabilities, probe
from isengard.engine.catalog import Base
from isengard.engine.guides import found
from isengard.engine.params import Param

BACKEND = "native"
GIB = 1 << 30

Unwired = tuple[str, list[str], str]  # type, what it would be, why it is not

# Asked for by clients of earlier systems; nothing here reads them.
UNWIRED_TRAINING: dict[str, Unwired] = {
    "scheduler": ("enum", ["constant"], "It is called lr_schedule here: constant, linear or cosine."),
    "network_alpha": ("int", [], "It is called lora_alpha here."),
    "caption_strategy": ("enum", ["natural"], "A photo's own caption is used, else a short one with the trigger word."),
    "min_snr_gamma": (
        "float",
        [],
        "Min-SNR weights the noise levels of models that learned to predict noise; this family learns a flow, where "
        "timestep_sampling does that work.",
    ),
    "noise_offset": ("float", [], "A flow starts from pure noise, so it knows dark and bright pictures without it."),
    "network_dropout": ("float", [], "Caption dropout, weight decay and preservation keep a LoRA general here."),
    "train_text_encoder": ("bool", [], "The text encoders are read once and freed; the LoRA acts on the denoiser."),
}
# Those that some bases have and others cannot have.
UNWIRED_ELSEWHERE: dict[str, Unwired] = {
    "training_guidance": ("float", [], "This base has no guidance input, so there is nothing to tell it."),
    "precision": ("enum", [], "This base is so small that it always learns in fp32."),
    "quantize": ("enum", [], "This base is so small that 8 bits would save nothing."),
}
# Of requests for pictures, on bases that are drawn in one way only.
UNWIRED_DRAWING: dict[str, Unwired] = {
    "sampler": ("enum", ["euler"], samplers.DISTILLED),
    "speed": ("enum", list(speed.SPEEDS), speed.SMALL),
    "precision": ("enum", [], "This base is so small that it is always drawn in fp32."),
    "quantize": ("enum", [], "This base is so small that 8 bits would save nothing."),
}
# Switches of earlier systems: what they asked for goes by other names here.
TOGGLES = {
    "use_upscale": ("Upscale", "It is a tool here: send tool “upscale” with a source picture."),
    "use_facedetailer": ("Face detailer", "It is a tool here: send tool “face_refine” with a source picture."),
    "use_ipadapter": ("IP-Adapter", "Give a picture as input “reference” instead."),
    "use_controlnet": ("ControlNet", "Give a picture as input “control” instead."),
}


def training(key: str, models_dir: Path) -> dict[str, Any]:
    """TrainingCapabilities of a base: method, backend, bases that can be trained now, every knob with its type,
    bounds and default, and the knobs that clients of earlier systems look for in vain."""
    return {
        "method": "lora",
        "backend": BACKEND,
        "base_model": key,
        "base_models": [base.key for base in catalog.BASES.values() if not why_not_train(base, models_dir, probe())],
        "parameters": schemas(catalog.training_params(key)),
        "unavailable_parameters": _unwired_schemas(key),
    }


def unwired_training(key: str) -> dict[str, str]:
    """Names that other systems or bases have and a training on this base has not, each with the reason."""
    return {name: schema["reason"] for name, schema in _unwired_schemas(key).items()}


def _unwired_schemas(key: str) -> dict[str, dict[str, Any]]:
    known = {param.name for param in catalog.training_params(key)}
    return {
        name: {"type": kind, "wired": False, "reason": reason, **({"options": options} if options else {})}
        for name, (kind, options, reason) in (UNWIRED_TRAINING | UNWIRED_ELSEWHERE).items()
        if name not in known
    }


def image(key: str, models_dir: Path) -> dict[str, Any]:
    """ImageCapabilities of a base: knobs, tools, guides, speeds and the switches of earlier systems, each with the
    reason where it cannot be used; bases usable now."""
    toggles = {
        name: {"supported": False, "description": label, "reason": reason} for name, (label, reason) in TOGGLES.items()
    }
    usable = [base.key for base in catalog.BASES.values() if not why_not(base, models_dir, probe())]
    base, parameters = catalog.get(key), schemas(catalog.generation_params(key))
    return {
        "backend": BACKEND,
        "model_variant": key,
        "model_variants": usable,
        "toggles": toggles,
        "parameters": parameters,
        "unavailable_parameters": {
            name: {"type": kind, "wired": False, "reason": reason}
            for name, (kind, _, reason) in UNWIRED_DRAWING.items()
            if name not in parameters
        },
        "tools": {name: _tool(name, base, models_dir) for name in tools.TOOLS},
        "guides": _guides(base, models_dir),
        "speeds": {name: _speed(one, base) for name, one in speed.SPEEDS.items()},
    }


def unwired_drawing(key: str) -> dict[str, str]:
    """Names that pictures of other bases have and those of this one have not, each with the reason."""
    known = {param.name for param in catalog.generation_params(key)}
    return {name: reason for name, (_, _, reason) in UNWIRED_DRAWING.items() if name not in known}


def _tool(name: str, base: Base, models_dir: Path) -> dict[str, Any]:
    tool = tools.get(name)
    inputs = {one.name: {"required": one.required, "kind": one.kind, "help": one.help} for one in tool.inputs}
    said = _said(tool.label, tool.help, tools.why_not(name, base, models_dir))
    return {**said, "inputs": inputs, "parameters": schemas(tools.own_params(name, base))}


def _guides(base: Base, models_dir: Path) -> dict[str, dict[str, Any]]:
    """Control by kind, of a photo and of a finished map; the reference."""
    offered = {}
    for kind, label in found.KINDS.items():
        of_map = found.why_not("control", base, models_dir, kind, prepared=True)
        said = _said(f"Control: {label}", found.CONTROL.help, found.why_not("control", base, models_dir, kind))
        offered[f"control.{kind}"] = {**said, "supported_prepared": not of_map, "reason_prepared": of_map}
    reference = _said("Reference", found.REFERENCE.help, found.why_not("reference", base, models_dir))
    return {**offered, "reference": reference}


def _speed(one: speed.Speed, base: Base) -> dict[str, Any]:
    return _said(one.label, one.help, speed.why_not(one.key, base, probe()))


def _said(label: str, text: str, reason: str) -> dict[str, Any]:
    return {"supported": not reason, "label": label, "description": text, "reason": reason}


def schemas(params: tuple[Param, ...]) -> dict[str, Any]:
    return {param.name: param.schema() for param in params}


def bases(models_dir: Path) -> list[dict[str, Any]]:
    """Every base model of the catalogue and whether this machine can draw with it and train it, with the reason."""
    machine = probe()
    return [_offer(base, models_dir, machine) for base in catalog.BASES.values()]


def _offer(base: Base, models_dir: Path, machine: Capabilities) -> dict[str, Any]:
    reason = why_not(base, models_dir, machine)
    untrainable = why_not_train(base, models_dir, machine)
    return {
        "key": base.key,
        "label": base.label,
        "family": base.family,
        "licence": base.licence,
        "note": base.note,
        "available": not reason,
        "reason": reason,
        "trainable": not untrainable,
        "training_reason": untrainable,
        "native_size": base.native_size,
        "sizes": list(base.sizes),
    }


def why_not(base: Base, models_dir: Path, machine: Capabilities) -> str:
    """Why pictures cannot be drawn with a base here, empty when they can."""
    return catalog.why_missing(base.key, models_dir) or _too_small(base, machine, _least_to_draw(base), "drawing")


def _least_to_draw(base: Base) -> int:
    """GPU memory without which no picture fits: the base in 8 bits, its text encoders never beside it."""
    return plan.drawing_bytes(plan.flux1(base), {"quantize": "int8"}) + plan.CONTEXT


def why_not_train(base: Base, models_dir: Path, machine: Capabilities) -> str:
    if not base.trainable:
        return base.note
    return catalog.why_missing(base.key, models_dir) or _too_small(base, machine, _least(base), "training")


def _least(base: Base) -> int:
    """GPU memory without which no settings of a training fit, in whole GiB."""
    defaults = {param.name: param.default for param in catalog.training_params(base.key)}
    return math.ceil(plan.least_bytes(base, plan.flux1(base), defaults) / GIB) * GIB


def _too_small(base: Base, machine: Capabilities, needed: int, what: str) -> str:
    if base.key == "pocket":
        return ""
    if machine.device == "cpu":
        return machine.note or f"{what.capitalize()} with {base.label} needs an NVIDIA GPU, and this machine has none."
    if machine.vram_bytes < needed:
        have = f"{machine.name} has {machine.vram_bytes / GIB:.0f}"
        return f"{what.capitalize()} with {base.label} needs about {math.ceil(needed / GIB)} GB of GPU memory; {have}."
    return ""


def features(models_dir: Path) -> dict[str, dict[str, Any]]:
    """What the studio as a whole can do here: `supported`, and why not."""
    offered = bases(models_dir)
    drawing = [base["reason"] for base in offered]
    learning = [base["training_reason"] for base in offered]
    return {
        "training.lora": _feature(learning),
        "training.full_finetune": {
            "supported": False,
            "reason": "Only LoRAs are trained; they hold a face in a small file.",
        },
        "image_generation": _feature(drawing),
        "video_generation": {"supported": False, "reason": "There is no video model in this engine."},
    }


def _feature(reasons: list[str]) -> dict[str, Any]:
    """Supported when one base has nothing against it; otherwise the first reason."""
    return {"supported": "" in reasons, "reason": "" if "" in reasons else reasons[0]}
