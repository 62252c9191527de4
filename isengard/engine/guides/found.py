"""Which guides this machine has, by what lies in its models folder, which knobs they add, and what to put where for
those that are missing. Facts only: imports no torch, opens no weights beyond their header."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from isengard.engine import catalog, lora_header
from isengard.engine.catalog import Base
from isengard.engine.errors import EngineError
from isengard.engine.params import BadParam, Param
from isengard.engine.tools import Input

KINDS = {"canny": "Edges", "depth": "Depth", "pose": "Pose"}
# What makes a control picture of a photo: OpenCV finds edges by itself; the others are models, and no base brings one.
MAKERS = {"depth": "depth", "pose": "pose"}
MAKER_EXAMPLES = {
    "depth": "depth-anything/Depth-Anything-V2-Small-hf",
    "pose": "usyd-community/vitpose-base-simple",
}
CONTROL = Input("control", "Control picture", "Its edges, depth or pose are kept; all else is the prompt's.")
REFERENCE = Input("reference", "Reference picture", "Its look is taken over, as far as the strength says.")
# What a ControlNet must share with its base: it reads the same latents and prompts, and adds to the same width.
GEOMETRY = ("in_channels", "attention_head_dim", "num_attention_heads", "joint_attention_dim", "pooled_projection_dim")
ADAPTER_KEY = "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight"

PARAMS = (
    Param(
        name="control_kind",
        type="enum",
        default="canny",
        choices=tuple(KINDS),
        label="Keep",
        help="canny: the edges; depth: what is near and far; pose: how the body stands.",
    ),
    Param(
        name="control_prepared",
        type="bool",
        default=False,
        label="It is a control picture already",
        help="The picture is an edge, depth or pose map itself and is used as it is.",
        expert=True,
    ),
    Param(
        name="control_strength",
        type="float",
        default=0.7,
        min=0,
        max=2,
        step=0.05,
        label="Control strength",
        help="How strictly the control picture is followed. 0: not at all; above 1 the picture stiffens.",
    ),
    Param(
        name="control_start",
        type="float",
        default=0.0,
        min=0,
        max=1,
        step=0.05,
        label="Control from",
        help="The share of the steps after which the control picture counts.",
        expert=True,
    ),
    Param(
        name="control_end",
        type="float",
        default=0.8,
        min=0,
        max=1,
        step=0.05,
        label="Control until",
        help="The share of the steps after which it counts no more, so that the last ones are free for details.",
        expert=True,
    ),
    Param(
        name="reference_strength",
        type="float",
        default=0.6,
        min=0,
        max=1.5,
        step=0.05,
        label="Reference strength",
        help="How much of the reference picture's look is taken over.",
    ),
)


def require_window(given: Collection[str], params: dict[str, Any]) -> None:
    """BadParam: the control picture would count at no step."""
    if CONTROL.name in given and params["control_start"] >= params["control_end"]:
        raise BadParam(
            "control_start",
            f"Control from is {params['control_start']:g} and Control until {params['control_end']:g}, so the control "
            "picture would never count. Let it begin before it ends.",
        )


def params(given: set[str]) -> tuple[Param, ...]:
    """The knobs of the guides whose pictures are given: names out of control and reference."""
    return tuple(param for param in PARAMS if param.name.partition("_")[0] in given)


def why_not(name: str, base: Base, models_dir: Path, kind: str = "canny", prepared: bool = False) -> str:
    """Why a guide (control or reference) cannot be used with a base here, empty when it can."""
    if reason := catalog.why_missing(base.key, models_dir):
        return reason
    try:
        files({name: ""}, {"control_kind": kind, "control_prepared": prepared}, base, models_dir)
    except EngineError as error:
        return error.message
    return ""


def files(inputs: dict[str, str], values: dict[str, Any], base: Base, models_dir: Path) -> dict[str, str]:
    """What this machine adds to `GenerateSpec.inputs` for the guides that are given: absolute paths of their models.

    EngineError guide_missing: there is none for this base, with what to put where. base_missing."""
    root, found = catalog.locate(base.key, models_dir), {}
    if "control" in inputs:
        kind = values["control_kind"]
        found["control_net"] = str(_control_net(kind, root, models_dir) or _absent_net(kind, base, models_dir))
        if kind in MAKERS and not values["control_prepared"]:
            found["control_maker"] = str(_model(models_dir / MAKERS[kind]) or _absent_maker(kind, models_dir))
    if "reference" in inputs:
        found["reference_net"] = str(_adapter(root, models_dir) or _absent_adapter(base, models_dir))
    return found


def _control_net(kind: str, root: Path, models_dir: Path) -> Path | None:
    wanted = _json(root / "transformer" / "config.json")
    for folder in sorted((models_dir / "controlnet").glob("*")):
        config = _json(folder / "config.json")
        usable = config.get("_class_name") == "FluxControlNetModel" and _fits(config, wanted) and _weights(folder)
        if usable and (is_union(folder, config) or kind in folder.name.lower()):
            return folder
    return None


def is_union(folder: Path, config: dict[str, Any]) -> bool:
    """Whether a ControlNet was trained for several kinds."""
    return config.get("num_mode") is not None or "union" in folder.name.lower()


def _fits(config: dict[str, Any], wanted: dict[str, Any]) -> bool:
    same = all(config.get(name) == wanted.get(name) for name in GEOMETRY)
    return same and (bool(wanted.get("guidance_embeds")) or not config.get("guidance_embeds"))


def _adapter(root: Path, models_dir: Path) -> Path | None:
    base = _json(root / "transformer" / "config.json")
    for folder in sorted((models_dir / "ip-adapter").glob("*")):
        if _model(folder / "image_encoder", itself=True) and (path := adapter_weights(folder)) and _suits(path, base):
            return folder
    return None


def adapter_weights(folder: Path) -> Path | None:
    """The file of an IP-Adapter in its folder."""
    return next((path for path in sorted(folder.glob("*.safetensors")) if path.is_file()), None)


def _suits(path: Path, base: dict[str, Any]) -> bool:
    try:
        entry = lora_header.read(path).tensors.get(ADAPTER_KEY)
    except EngineError:
        return False
    width = base.get("num_attention_heads", 0) * base.get("attention_head_dim", 0)
    return entry is not None and tuple(entry.shape) == (width, base.get("joint_attention_dim"))


def _model(folder: Path, itself: bool = False) -> Path | None:
    """The first complete model below a folder, or the folder itself."""
    places = [folder] if itself else sorted(folder.glob("*"))
    return next((place for place in places if (place / "config.json").is_file() and _weights(place)), None)


def _weights(folder: Path) -> bool:
    return any(path.is_file() for path in folder.glob("*.safetensors"))


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _absent_net(kind: str, base: Base, models_dir: Path) -> str:
    if base.key == "pocket":
        raise _missing(f"Nobody has trained a ControlNet for {base.label} yet; there are some for FLUX.1-dev.")
    raise _missing(
        f"There is no ControlNet for {kind} of {base.label} on this machine. Put one, for example Shakker-Labs/"
        "FLUX.1-dev-ControlNet-Union-Pro-2.0, with its config.json into a folder of its own in "
        f"{models_dir / 'controlnet'}."
    )


def _absent_maker(kind: str, models_dir: Path) -> str:
    raise _missing(
        f"There is no model here that finds the {kind} in a photo. Put one, for example {MAKER_EXAMPLES[kind]}, into a "
        f"folder of its own in {models_dir / MAKERS[kind]}, or give a finished {kind} map."
    )


def _absent_adapter(base: Base, models_dir: Path) -> str:
    if base.key == "pocket":
        raise _missing(f"Nobody has trained an IP-Adapter for {base.label} yet; there is one for FLUX.1-dev.")
    raise _missing(
        f"There is no IP-Adapter for {base.label} on this machine. Put one, for example XLabs-AI/flux-ip-adapter-v2, "
        f"into a folder of its own in {models_dir / 'ip-adapter'}, with its CLIP model beside it as image_encoder."
    )


def _missing(text: str) -> EngineError:
    return EngineError("guide_missing", text)
