"""What the engine is asked to do, as plain frozen data that travels as JSON. No torch, no Django.

A spec holds absolute paths and finished decisions: the engine never asks a database and never guesses a default."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class BaseModel:
    """The base model to load: catalog key, family, and the local diffusers folder it was found in."""

    key: str
    family: str
    path: str


@dataclass(frozen=True)
class TrainImage:
    """One training picture: absolute path, SHA-256 of the stored file (names its cache entry), the final caption.

    `crop`: x, y, width, height as fractions of the upright picture, None for all of it. `mask`: absolute path of a grey
    PNG of the whole picture's size, white where the person is, or None (every part counts alike)."""

    path: str
    sha256: str
    caption: str
    crop: tuple[float, float, float, float] | None = None
    mask: str | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrainImage":
        """TypeError: the sender speaks another version."""
        x_y_width_height = data.get("crop")
        return cls(**{**data, "crop": tuple(x_y_width_height) if x_y_width_height else None})


@dataclass(frozen=True)
class TrainSpec:
    """One LoRA training. `params` holds exactly the names of `catalog.training_params(base)`, validated.

    The engine writes below `run_dir` (run directory layout: rundir.py) and `cache_dir` only. `resume_from` is a resume
    state written by an earlier attempt (in `run_dir`) or by the training that this one goes on with, or None. `prompts`
    are the sample prompts with the trigger.

    `start`: fresh; longer goes on with the steps and the optimizer in `resume_from` (of a finished training, or of one
    that was stopped) and never starts over; warm begins anew from the weights in `init_lora`, a LoRA file of the same
    base."""

    job: str
    base: BaseModel
    run_dir: str
    cache_dir: str
    images: tuple[TrainImage, ...]
    trigger_word: str
    class_word: str
    prompts: tuple[str, ...]
    params: dict[str, Any]
    resume_from: str | None = None
    # Names for the exported file's header (title, character): no path of this machine ever goes in.
    title: str = ""
    start: Literal["fresh", "longer", "warm"] = "fresh"
    init_lora: str | None = None
    kind: Literal["train"] = "train"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrainSpec":
        """TypeError or KeyError: the sender speaks another version."""
        images = tuple(TrainImage.from_dict(image) for image in data["images"])
        return cls(**{**data, "base": BaseModel(**data["base"]), "images": images, "prompts": tuple(data["prompts"])})


@dataclass(frozen=True)
class LoraRef:
    """An adapter to apply: absolute path, SHA-256 (names the warm copy), strength (0 = off, 1 = as trained)."""

    path: str
    sha256: str
    strength: float


@dataclass(frozen=True)
class Variant:
    """What one picture has of its own; None: as the request says. `params` override those of the request."""

    prompt: str | None = None
    loras: tuple[LoraRef, ...] | None = None
    params: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Variant":
        """TypeError: the sender speaks another version."""
        loras = data.get("loras")
        return cls(**{**data, "loras": None if loras is None else tuple(LoraRef(**lora) for lora in loras)})


@dataclass(frozen=True)
class GenerateSpec:
    """Pictures of one prompt, one seed each. `params` holds width, height (px), steps, guidance_scale, negative_prompt.

    `variants` is empty or as long as `seeds`. `tool` says who makes the pictures (tools.py) and `inputs` what it was
    given: absolute paths by name (source, mask, control, reference …). Files appear in `out_dir` as `<index:02d>.png`,
    each with its recipe in the PNG text (`parameters` and `isengard`); `recipe` is what our JSON says beyond the
    parameters (character, LoRA version …). `skip`: pictures that are not to be drawn, by index."""

    job: str
    base: BaseModel
    out_dir: str
    cache_dir: str
    prompt: str
    seeds: tuple[int, ...]
    params: dict[str, Any]
    loras: tuple[LoraRef, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)
    preview: bool = True
    variants: tuple[Variant, ...] = ()
    tool: str = "draw"
    inputs: dict[str, str] = field(default_factory=dict)
    skip: tuple[int, ...] = ()
    kind: Literal["generate"] = "generate"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "GenerateSpec":
        """TypeError or KeyError: the sender speaks another version."""
        given = {
            "base": BaseModel(**data["base"]),
            "loras": tuple(LoraRef(**lora) for lora in data["loras"]),
            "seeds": tuple(data["seeds"]),
            "skip": tuple(data.get("skip", ())),
            "variants": tuple(Variant.from_dict(variant) for variant in data.get("variants", ())),
        }
        return cls(**{**data, **given})


@dataclass(frozen=True)
class MaskImage:
    """A photo to mask: the number of its event, absolute paths of photo and PNG, faces as fractions, main first."""

    index: int
    path: str
    out: str
    faces: tuple[tuple[float, float, float, float], ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MaskImage":
        """TypeError or KeyError: the sender speaks another version."""
        return cls(**{**data, "faces": tuple(tuple(face) for face in data["faces"])})


@dataclass(frozen=True)
class MaskSpec:
    """Masks of the person, or of the face alone, for photos as they are stored."""

    job: str
    shape: Literal["person", "face"]
    images: tuple[MaskImage, ...]
    kind: Literal["mask"] = "mask"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MaskSpec":
        """TypeError or KeyError: the sender speaks another version."""
        return cls(**{**data, "images": tuple(MaskImage.from_dict(image) for image in data["images"])})


@dataclass(frozen=True)
class ExamineImage:
    """A photo to measure: the number that its event carries, its absolute path."""

    index: int
    path: str


@dataclass(frozen=True)
class ExamineSpec:
    """Photos to measure as they are stored. `yunet` is the file of that detector, "" where it is not here; `before` and
    `after` count the photos of other jobs, so that progress and time left are those of all."""

    job: str
    images: tuple[ExamineImage, ...]
    yunet: str = ""
    before: int = 0
    after: int = 0
    kind: Literal["examine"] = "examine"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ExamineSpec":
        """TypeError or KeyError: the sender speaks another version."""
        return cls(**{**data, "images": tuple(ExamineImage(**image) for image in data["images"])})


@dataclass(frozen=True)
class UnpackMember:
    """One picture of an archive: the number its event carries, its place in the archive's list, and its mask's."""

    index: int
    entry: int
    mask: int | None = None


@dataclass(frozen=True)
class UnpackSpec:
    """Pictures of a ZIP to decode into `out_dir`, as `<index>` without an extension (`<index>-mask` beside it).

    `min_side` in pixels, `largest_file` in bytes of a clean picture; `done` members came out of an earlier attempt."""

    job: str
    archive: str
    out_dir: str
    members: tuple[UnpackMember, ...]
    min_side: int
    largest_file: int
    done: int = 0
    kind: Literal["unpack"] = "unpack"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "UnpackSpec":
        """TypeError or KeyError: the sender speaks another version."""
        return cls(**{**data, "members": tuple(UnpackMember(**member) for member in data["members"])})


@dataclass(frozen=True)
class CaptionModel:
    """A captioner to ask: its key (comes back in events), its name for people, its folder, how much it should say."""

    key: str
    label: str
    kind: Literal["blip", "florence2"]
    path: str
    detail: Literal["short", "detailed", "long"] = "short"


@dataclass(frozen=True)
class CaptionImage:
    """A photo to describe: the number that its event carries, its absolute path."""

    index: int
    path: str


@dataclass(frozen=True)
class CaptionSpec:
    """Descriptions of photos, by each of the models in turn."""

    job: str
    models: tuple[CaptionModel, ...]
    images: tuple[CaptionImage, ...]
    kind: Literal["caption"] = "caption"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "CaptionSpec":
        """TypeError or KeyError: the sender speaks another version."""
        models = tuple(CaptionModel(**model) for model in data["models"])
        return cls(**{**data, "models": models, "images": tuple(CaptionImage(**image) for image in data["images"])})


Spec = TrainSpec | GenerateSpec | CaptionSpec | UnpackSpec | MaskSpec | ExamineSpec


def spec_from_dict(data: dict[str, Any]) -> Spec:
    """The spec behind a JSON object, by its `kind`. ValueError: unknown kind."""
    if data.get("kind") == "train":
        return TrainSpec.from_dict(data)
    if data.get("kind") == "generate":
        return GenerateSpec.from_dict(data)
    if data.get("kind") == "mask":
        return MaskSpec.from_dict(data)
    if data.get("kind") == "unpack":
        return UnpackSpec.from_dict(data)
    if data.get("kind") == "caption":
        return CaptionSpec.from_dict(data)
    if data.get("kind") == "examine":
        return ExamineSpec.from_dict(data)
    raise ValueError(f"unknown kind of spec: {data.get('kind')!r}")
