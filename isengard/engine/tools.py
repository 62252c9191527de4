"""What can be made of a prompt and a picture: the tools of the studio, what each is given and which knobs it reads.

Facts for forms, the API and the engine (the work itself: drawing/). Another tool is one entry here and one function
there. Knows no queue, no database; imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from isengard.engine import catalog
from isengard.engine.catalog import Base
from isengard.engine.errors import EngineError
from isengard.engine.params import BadParam, Param

# Result, in areas of the base's native square: what is drawn in windows takes minutes beyond it.
LARGEST_AREA = 16
# Of a result that no model refines (upscale with a change of 0).
LARGEST_PIXELS = 64_000_000
UPSCALERS = ("*.safetensors", "*.pth")
YUNET_FILES = "face_detection_yunet_????[a-z][a-z][a-z].onnx"


@dataclass(frozen=True)
class Input:
    """A file that a tool is given, by the name it has in `GenerateSpec.inputs`.

    picture: any that Pillow reads. mask: grey, white where something is to change, of the source's proportions."""

    name: str
    label: str
    help: str
    kind: Literal["picture", "mask"] = "picture"
    required: bool = True


@dataclass(frozen=True)
class Tool:
    """`sized`: request, width and height of the request count; source, the picture's own size does (and those two
    are not among its knobs). `loras`: how many characters' LoRAs it needs at least, in the order of the faces."""

    key: str
    label: str
    help: str
    inputs: tuple[Input, ...] = ()
    sized: Literal["request", "source"] = "request"
    loras: int = 0


SOURCE = Input("source", "Picture", "The picture to begin from.")
MASK = Input("mask", "Mask", "White where the picture is to change.", kind="mask")

TOOLS: dict[str, Tool] = {
    tool.key: tool
    for tool in (
        Tool("draw", "Draw", "A picture from the prompt alone."),
        Tool("hires", "Hi-res fix", "Draws at the usual size, then again larger, so that large pictures stay whole."),
        Tool("image_to_image", "From a picture", "Begins from a picture and changes it towards the prompt.", (SOURCE,)),
        Tool("inpaint", "Inpaint", "Draws the masked part anew; every other pixel stays.", (SOURCE, MASK), "source"),
        Tool("outpaint", "Outpaint", "Goes on beyond the edges of a picture.", (SOURCE,), "source"),
        Tool(
            "upscale", "Upscale", "Two or four times the size, refined by the model part by part.", (SOURCE,), "source"
        ),
        Tool(
            "face_refine", "Face refine", "Finds faces and draws each anew, larger, with the LoRA.", (SOURCE,), "source"
        ),
        Tool(
            "pair",
            "Two characters",
            "One picture without a LoRA; then the left face with the first LoRA and the right face with the second.",
            (replace(SOURCE, required=False, help="A picture of two faces. None: it is drawn from the prompt."),),
            loras=2,
        ),
    )
}


def get(key: str) -> Tool:
    """EngineError unknown_tool."""
    if key not in TOOLS:
        raise EngineError("unknown_tool", f"There is no tool called {key!r}. Choose one of {', '.join(TOOLS)}.")
    return TOOLS[key]


def why_not(key: str, base: Base, models_dir: Path) -> str:
    """Why a tool cannot be used with a base on this machine, empty when it can. EngineError unknown_tool."""
    get(key)
    return catalog.why_missing(base.key, models_dir)


def files(key: str, models_dir: Path) -> dict[str, str]:
    """What this machine adds to `GenerateSpec.inputs` of a tool: absolute paths of the models found for it."""
    found: dict[str, Path | None] = {}
    if key in ("face_refine", "pair"):
        found["detector"] = _first(models_dir, (YUNET_FILES,))
    if key == "upscale":
        found["upscaler"] = _first(models_dir / "upscale", UPSCALERS)
    return {name: str(path) for name, path in found.items() if path is not None}


def _first(folder: Path, patterns: tuple[str, ...]) -> Path | None:
    return next((path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()), None)


def whole_area(base: Base) -> float:
    """How many times its native area a base draws in one piece; larger pictures are drawn in windows. Pocket has seen
    its own sizes and no other."""
    return 1.5 if base.key == "pocket" else 4.0


def own_params(key: str, base: Base) -> tuple[Param, ...]:
    """The knobs that a tool has beyond those of every picture of the base (catalog.generation_params)."""
    if get(key).key == "draw":
        return (DECODING,)
    edge = max(base.native_size // 32, 2)
    gentle = base.key == "pocket"  # it sees parts of faces that it has never seen alone
    feather = replace(FEATHER, default=edge, max=base.native_size // 2)
    own: dict[str, tuple[Param, ...]] = {
        "hires": (HIRES_SCALE, replace(DENOISE, default=0.3 if gentle else 0.5)),
        "image_to_image": (DENOISE,),
        "inpaint": (replace(DENOISE, default=0.85), AREA, MARGIN, feather),
        "outpaint": (*_sides(base), replace(DENOISE, default=0.95), feather),
        "upscale": (SCALE, replace(REFINE, default=0.15 if gentle else 0.3)),
        "face_refine": (FACES, replace(DENOISE, default=0.45), MARGIN, feather),
        "pair": (FACE_PROMPTS, _layout(base), replace(DENOISE, default=0.65), MARGIN, feather),
    }
    return (*own[key], DECODING)


def params(key: str, base: Base) -> tuple[Param, ...]:
    """Every knob of a request with this tool. EngineError unknown_tool."""
    shared = catalog.generation_params(base.key)
    if get(key).sized == "source":
        shared = tuple(param for param in shared if param.name not in ("width", "height"))
    if key == "pair" and _layout(base).default == "side by side":
        shared = tuple(replace(p, default=2 * base.native_size) if p.name == "width" else p for p in shared)
    return (*shared, *own_params(key, base))


def passes(key: str, values: dict[str, Any], *, given: bool) -> int:
    """How many drawings of `steps` steps a picture takes, as far as that is known before; `given`: it has a source."""
    if key == "pair":
        return 2 if given else 3
    if key == "upscale":
        return 1 if values["denoise"] else 0
    return 2 if key == "hires" else 1


def result_size(key: str, base: Base, values: dict[str, Any], source: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height in pixels of what a tool will make of cleaned `values` and of a source of this size."""
    if key == "hires":
        sides = (round(values[name] * values["hires_scale"] / base.multiple) for name in ("width", "height"))
        return next(sides) * base.multiple, next(sides) * base.multiple
    if key != "pair" and get(key).sized == "request":
        return values["width"], values["height"]
    width, height = source or (values["width"], values["height"])
    if key == "upscale":
        return width * values["scale"], height * values["scale"]
    if key == "outpaint":
        across, down = values["expand_left"] + values["expand_right"], values["expand_top"] + values["expand_bottom"]
        return width + across, height + down
    return width, height


def require_possible(key: str, base: Base, values: dict[str, Any], source: tuple[int, int] | None) -> None:
    """BadParam: cleaned `values` that lead nowhere (nothing to add) or to a result too large to be drawn."""
    if key == "outpaint" and not any(values[f"expand_{side}"] for side in SIDES):
        raise BadParam("expand_left", "Nothing is to be added: set at least one side above 0.")
    if key == "pair":
        _require_lines(values["face_prompts"])
    width, height = result_size(key, base, values, source)
    drawn = key in ("hires", "outpaint") or (key == "upscale" and values["denoise"] > 0)
    largest = LARGEST_AREA * base.native_size**2 if drawn else LARGEST_PIXELS
    if width * height > largest:
        name = {"hires": "hires_scale", "upscale": "scale", "outpaint": "expand_left"}.get(key, "source")
        raise BadParam(
            name, f"The result would be {width} × {height}; {base.label} goes up to {largest:,} pixels here."
        )


def _require_lines(lines: Sequence[str]) -> None:
    """Each would be encoded, and those beyond the second would serve no face."""
    if len(lines) > PAIRED:
        raise BadParam("face_prompts", f"There are {len(lines)} prompts for {PAIRED} faces. Write one line for each.")
    if any(len(line) > LONGEST_LINE for line in lines):
        raise BadParam("face_prompts", f"A prompt of a face has at most {LONGEST_LINE} characters.")


SIDES = ("left", "right", "top", "bottom")
# Faces that "pair" draws, and how long the prompt of one may be.
PAIRED, LONGEST_LINE = 2, 2000
DENOISE = Param(
    name="denoise",
    type="float",
    default=0.6,
    min=0.05,
    max=1,
    step=0.05,
    label="Change",
    help="How far the picture may go from what it was: 0.3 keeps its forms, 0.6 its composition, 1 nothing.",
)
REFINE = replace(DENOISE, min=0, label="Refine", help=DENOISE.help + " 0: only the enlargement.")
HIRES_SCALE = Param(
    name="hires_scale",
    type="float",
    default=2,
    min=1.25,
    max=4,
    step=0.25,
    label="Enlarge",
    help="How many times wider and higher the second drawing is than the first.",
)
SCALE = Param(
    name="scale",
    type="enum",
    default=2,
    choices=(2, 4),
    label="Scale",
    help="How many times wider and higher the result is.",
)
FEATHER = Param(
    name="feather",
    type="int",
    default=8,
    min=0,
    max=512,
    step=1,
    unit="px",
    label="Soft edge",
    help="How wide the new part melts into the old one, inside the new part. Outside it no pixel changes.",
    expert=True,
)
MARGIN = Param(
    name="margin",
    type="float",
    default=0.5,
    min=0,
    max=3,
    step=0.1,
    label="Surroundings",
    help="How much of the picture around the part the model sees, as a share of the part's size.",
    expert=True,
)
AREA = Param(
    name="area",
    type="enum",
    default="picture",
    choices=("picture", "mask"),
    label="Look at",
    help="picture: the whole of it is drawn again, and the mask taken from it. mask: only the masked part with its "
    "surroundings, enlarged to the size the base knows best; for faces and other small things.",
)
FACES = Param(
    name="faces",
    type="enum",
    default="largest",
    choices=("largest", "all"),
    label="Faces",
    help="Which of the faces that are found become this character.",
)
FACE_PROMPTS = Param(
    name="face_prompts",
    type="string_list",
    default=(),
    label="Prompts of the faces",
    help="One a line, the left face first, with each character's trigger word. Empty: the prompt counts for both.",
)
DECODING = Param(
    name="tiled_decoding",
    type="enum",
    default="auto",
    choices=("auto", "on", "off"),
    label="Decode in tiles",
    help="Turns large pictures into pixels part by part, in a fraction of the memory; seams are blended. auto: only "
    "beyond four times the area of the base's own size.",
    expert=True,
)


def _sides(base: Base) -> tuple[Param, ...]:
    side = Param(
        name="expand_left",
        type="int",
        default=0,
        min=0,
        max=base.native_size,
        step=base.multiple,
        unit="px",
        label="Add left",
        help="How many pixels the picture grows on this side.",
    )
    across = base.native_size // 4 // base.multiple * base.multiple
    return tuple(
        replace(side, name=f"expand_{name}", label=f"Add {name}", default=across if name in ("left", "right") else 0)
        for name in SIDES
    )


def _layout(base: Base) -> Param:
    """Pocket has never seen two people, so each half is drawn as a portrait."""
    return Param(
        name="layout",
        type="enum",
        default="side by side" if base.key == "pocket" else "scene",
        choices=("scene", "side by side"),
        label="Together",
        help="scene: the base draws both people at once. side by side: each half is drawn as a picture of its own and "
        "they are blended where they meet; for bases that only know portraits. Does not count when a picture is given.",
    )
