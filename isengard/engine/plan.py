"""What a training will need before it starts: memory, disk and seconds in closed formulas, and what to choose to fit.

Numbers of a base come from its folder, else from the published model. Imports no torch and reads no row: what earlier
trainings measured comes in as factors. The engine asks the same formulas when it decides for itself (memory.py)."""

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

from isengard.engine.catalog import Base

GIB = 1 << 30
Params = dict[str, Any]

BYTES = {"bf16": 2, "fp32": 4}
# Below this the weights are a toy for any machine: full precision costs nothing.
SMALL_WEIGHTS = GIB
# What one block keeps for its backward pass, in bytes per token and unit of width. Counted with autograd's saved-tensor
# hooks on diffusers 0.42's double and single blocks under peft's LoRA (docs/log.md); the head count hardly matters.
KEPT = {
    ("bf16", "attention"): (37.2, 32.8),
    ("bf16", "blocks"): (47.9, 45.3),
    ("fp32", "attention"): (53.3, 49.0),
    ("fp32", "blocks"): (73.8, 69.5),
}
# A forward pass without backward holds one block's inside: a single block's 4 widths of MLP, 3 of attention, its
# concatenation (5), residual and output.
INSIDE = 14
# The autoencoder's widest moment: that many full-size tensors of its second width (decoding) or first (encoding).
VAE_TENSORS = 4
# Optimizer state in bytes per parameter: two fp32 moments, two 8-bit ones with their scales, four fp32 tensors
# (Prodigy keeps the start and its numerator, too); Adafactor keeps a row and a column.
OPTIMIZER = {"adamw": 8.0, "adamw8bit": 2.1, "prodigy": 16.0}
# torch's caching allocator rounds and splits (measured by others at 3 to 8 %), libraries want room to work.
FRAGMENTED = 1.06
WORKSPACE = GIB // 2
# The driver's own context and what a desktop takes: memory that a training never gets.
CONTEXT = 3 * GIB // 4
# Python with torch, diffusers, transformers and peft before anything is loaded (measured on Linux, CPU build).
PROGRAM = int(0.45 * GIB)
PNG_BYTES = 1.6  # of a photo-like picture, per pixel

# Dense bf16 TFLOP/s by the makers' data sheets; what a LoRA step reaches of it is below.
PEAK_TFLOPS = {
    "B200": 2250, "H200": 989, "H100": 989, "GH200": 989, "A100": 312, "L40S": 362, "L40": 181, "L4": 121, "A40": 150,
    "A6000": 155, "6000 Ada": 364, "5090": 210, "5080": 113, "4090": 165, "4080": 97, "4070": 58, "4060": 30,
    "3090": 71, "3080": 60, "A10": 125,
}  # fmt: skip
UNKNOWN_GPU_TFLOPS = 70
REACHED = 0.4  # public anchors lie between 0.25 (eager, checkpointed, consumer cards) and 0.6 (compiled, H100)
# Pocket on two CPU cores: a step is mostly the calling of small layers.
CPU_CALLS = 0.03
CPU_FLOPS = 60e9
# A step with preservation: once more forward with the base, once more forward and back (measured on Pocket).
PRESERVING = 2.4
IMPORTS = 8.0  # s until torch and the libraries are there
READ_RATE = 1e9  # bytes/s from an ordinary NVMe disk


@dataclass(frozen=True)
class Geometry:
    """A FLUX-like base in numbers. `parameters` of denoiser, text (both encoders) and vae; `stride`: pixels per token
    side; `vae_widths`: channels at full size while encoding and decoding; `native` px and `steps` of a preview."""

    width: int
    doubles: int
    singles: int
    pooled: int
    text_width: int
    text_tokens: int
    stride: int
    latent_channels: int
    vae_widths: tuple[int, int]
    denoiser: int
    text: int
    vae: int
    native: int
    steps: int
    passes: int
    small: bool

    def tokens(self, side: int) -> int:
        """Of one picture with the area of a `side` px square, its text included."""
        return (side // self.stride) ** 2 + self.text_tokens

    @property
    def blocks(self) -> int:
        return self.doubles + self.singles

    @property
    def linears(self) -> int:
        """Weights in the blocks' linear layers: 36 width² in a double block, 15 width² in a single one."""
        return (36 * self.doubles + 15 * self.singles) * self.width**2


def flux1(base: Base) -> Geometry:
    """FLUX.1 as published: 11.9 B parameters, T5-XXL's and CLIP-L's encoders 4.9 B, the autoencoder 84 M."""
    return Geometry(
        width=3072,
        doubles=19,
        singles=38,
        pooled=768,
        text_width=4096,
        text_tokens=base.max_sequence_length,
        stride=16,
        latent_channels=16,
        vae_widths=(128, 256),
        denoiser=11_901_408_320,
        text=4_885_000_000,
        vae=83_819_683,
        native=base.native_size,
        steps=base.steps,
        passes=2 if base.guidance == "true_cfg" else 1,
        small=False,
    )


def geometry(base: Base, folder: Path | None) -> Geometry:
    """The base as it lies in `folder` (a complete diffusers folder), or as it was published where there is none."""
    if folder is None:
        return flux1(base)
    denoiser, vae = _config(folder / "transformer"), _config(folder / "vae")
    widths = vae["block_out_channels"]
    stored = sum(path.stat().st_size for path in (folder / "transformer").glob("*.safetensors"))
    return Geometry(
        width=denoiser["num_attention_heads"] * denoiser["attention_head_dim"],
        doubles=denoiser["num_layers"],
        singles=denoiser["num_single_layers"],
        pooled=denoiser["pooled_projection_dim"],
        text_width=denoiser["joint_attention_dim"],
        text_tokens=base.max_sequence_length,
        stride=2 ** len(widths),
        latent_channels=denoiser["in_channels"] // 4,
        vae_widths=(widths[0], widths[min(1, len(widths) - 1)]),
        denoiser=parameters_in(folder / "transformer"),
        text=parameters_in(folder / "text_encoder") + parameters_in(folder / "text_encoder_2"),
        vae=parameters_in(folder / "vae"),
        native=base.native_size,
        steps=base.steps,
        passes=2 if base.guidance == "true_cfg" else 1,
        small=stored < SMALL_WEIGHTS,
    )


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def parameters_in(folder: Path) -> int:
    """Numbers in a folder's safetensors files, from their headers alone."""
    return sum(count for path in folder.glob("*.safetensors") for count in _counts(path))


def _counts(path: Path) -> Iterator[int]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return (math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


# Memory


def precision(geometry: Geometry, params: Params) -> str:
    """The base's number format, as the engine picks it (memory.pick_dtype)."""
    return str(params.get("precision") or ("fp32" if geometry.small else "bf16"))


def lora_parameters(geometry: Geometry, params: Params) -> int:
    """rank × (inputs + outputs) of every layer that carries the LoRA (families' targets for `lora_layers`)."""
    layers = params.get("lora_layers", "blocks")
    double, single = (16, 6) if layers == "attention" else (36, 17)
    sides = (double * geometry.doubles + single * geometry.singles) * geometry.width
    if layers == "blocks and prompt":
        sides += geometry.pooled + 3 * geometry.width
    return int(params["lora_rank"]) * sides


def optimizer_bytes(params: Params) -> float:
    """State per parameter of the LoRA."""
    return OPTIMIZER.get(str(params.get("optimizer", "adamw")), 4 / int(params["lora_rank"]))


def denoiser_bytes(geometry: Geometry, params: Params) -> int:
    size = BYTES[precision(geometry, params)]
    if params.get("quantize", "none") == "int8":
        return geometry.linears + (geometry.denoiser - geometry.linears) * size
    return geometry.denoiser * size


def activation_bytes(geometry: Geometry, params: Params, *, recompute: bool) -> int:
    """What one batch keeps for the backward pass; recomputing, only each block's input and the inside of one block."""
    kind = "attention" if params.get("lora_layers") == "attention" else "blocks"
    double, single = KEPT[precision(geometry, params), kind]
    size = BYTES[precision(geometry, params)]
    each = geometry.doubles * double + geometry.singles * single
    if recompute:
        each = geometry.blocks * size + max(double, single)
    return int(each * geometry.width * geometry.tokens(params["resolution"]) * params["batch_size"])


def _lora_bytes(geometry: Geometry, params: Params) -> int:
    """Weights and gradients in fp32, the optimizer's state, the running average and what it replaces while drawing."""
    average = 8 if params.get("ema_decay") else 0
    return int(lora_parameters(geometry, params) * (8 + average + optimizer_bytes(params)))


def phases(geometry: Geometry, params: Params, *, recompute: bool) -> dict[str, int]:
    """Bytes on the device while captions are read, photos encoded, steps taken, previews drawn.

    Text encoders leave before the denoiser comes; the autoencoder stays, for the previews."""
    size = BYTES[precision(geometry, params)]
    vae = geometry.vae * size
    resident = denoiser_bytes(geometry, params) + _lora_bytes(geometry, params) + vae
    first = VAE_TENSORS * geometry.vae_widths[0] * size
    return {
        "reading": geometry.text * size,
        "encoding": vae + first * int(params["resolution"]) ** 2,
        "training": resident + activation_bytes(geometry, params, recompute=recompute),
        "drawing": resident + _widest_moment(geometry, size),
    }


def _widest_moment(geometry: Geometry, size: int) -> int:
    """Of drawing a picture of the native size: inside the denoiser, or decoding."""
    inside = INSIDE * geometry.width * geometry.tokens(geometry.native) * size * geometry.passes
    return max(inside, VAE_TENSORS * geometry.vae_widths[1] * size * geometry.native**2)


def drawing_parts(geometry: Geometry, params: Params) -> dict[str, int]:
    """Bytes that Generate needs on its device: for the text encoders, for the denoiser, and to draw beside it."""
    size = BYTES[precision(geometry, params)]
    work = geometry.vae * size + _widest_moment(geometry, size) + (0 if geometry.small else WORKSPACE)
    sizes = {"text": geometry.text * size, "transformer": denoiser_bytes(geometry, params), "work": work}
    return {part: int(count * FRAGMENTED) for part, count in sizes.items()}


def drawing_bytes(geometry: Geometry, params: Params) -> int:
    """The most that Generate must have at once: where both are too much, encoders and denoiser take turns."""
    parts = drawing_parts(geometry, params)
    return max(parts["text"], parts["transformer"] + parts["work"])


def device_bytes(geometry: Geometry, params: Params, *, recompute: bool) -> int:
    """The most that a training holds on a GPU at once, as its allocator reserves it."""
    highest = max(phases(geometry, params, recompute=recompute).values())
    return int(highest * FRAGMENTED) + (0 if geometry.small else WORKSPACE)


def host_bytes(geometry: Geometry, params: Params, *, on_gpu: bool, recompute: bool = False) -> int:
    """The most main memory: all of it without a GPU; with one, the largest part on its way there."""
    if not on_gpu:
        return PROGRAM + device_bytes(geometry, params, recompute=recompute)
    size = BYTES[precision(geometry, params)]
    return PROGRAM + 2 * WORKSPACE + max(geometry.denoiser, geometry.text) * size


# Disk


@dataclass(frozen=True)
class Disk:
    """Bytes: `cache` can be shared by later trainings and cleared, the rest belongs to the run."""

    cache: int
    checkpoints: int
    samples: int

    @property
    def total(self) -> int:
        return self.cache + self.checkpoints + self.samples


def disk(geometry: Geometry, params: Params, pictures: int) -> Disk:
    """Cached latents and captions; the checkpoints that are kept, the state to resume from (two while it is replaced)
    and the finished LoRA (twice, until the run's own is removed); previews as PNG."""
    size, lora = BYTES[precision(geometry, params)], lora_parameters(geometry, params)
    side = int(params["resolution"]) * 2 // geometry.stride
    said = 1 + (5 if params.get("preservation") else 0)
    words = (geometry.text_tokens * geometry.text_width + geometry.pooled) * size
    latents = geometry.latent_channels * side**2 * 4
    cache = (pictures + int(params.get("class_images", 0))) * latents + (pictures * said + 6) * words
    average = 4 if params.get("ema_decay") else 0
    state = lora * (4 + average + optimizer_bytes(params))
    files = min(int(params["max_checkpoints"]), checkpoints(params)) + 2
    samples = int(previews(params) * geometry.native**2 * PNG_BYTES)
    return Disk(cache, int(files * lora * size + 2 * state), samples)


def checkpoints(params: Params) -> int:
    return _times(params["checkpoint_every_n_steps"], params["steps"])


def previews(params: Params) -> int:
    """Pictures drawn: the baseline, when due, and at the end."""
    return (_times(params["sample_every_n_steps"], params["steps"]) + 1) * int(params["sample_count"])


def _times(every: int, steps: int) -> int:
    """As schedule.is_due counts: every so many steps, and at the last."""
    return math.ceil(steps / every) if every else 1


# Seconds


@dataclass(frozen=True)
class Seconds:
    """Of one step, and of everything that is not a step (loading, preparing, previews, saving)."""

    step: float
    rest: float

    def total(self, steps: int) -> float:
        return self.step * steps + self.rest


def forward_flops(geometry: Geometry, side: int) -> tuple[float, float]:
    """One picture through the denoiser: linear layers (12 width² each token and block) and attention."""
    tokens, width = geometry.tokens(side), geometry.width
    return geometry.blocks * 24.0 * width**2 * tokens, geometry.blocks * 4.0 * tokens**2 * width


def step_flops(geometry: Geometry, params: Params, *, recompute: bool) -> float:
    """One optimizer step. Backward costs a forward of the linear layers (they are frozen) and two of attention."""
    linear, attention = forward_flops(geometry, params["resolution"])
    once = 2 * linear + 3 * attention + ((linear + attention) if recompute else 0)
    batches = int(params["batch_size"]) * int(params.get("gradient_accumulation", 1))
    return once * batches * _preserving(params)


def _preserving(params: Params) -> float:
    return PRESERVING if params.get("preservation") else 1.0


def rough_seconds(
    geometry: Geometry, params: Params, device: str, pictures: int, *, on_gpu: bool, recompute: bool
) -> Seconds:
    """A guess from the device's data sheet; an hour's training is easily off by half until one was measured here."""
    rate = _flops_per_second(device) if on_gpu else CPU_FLOPS
    calls = 0.0 if on_gpu else CPU_CALLS * params.get("gradient_accumulation", 1) * _preserving(params)
    step = calls + step_flops(geometry, params, recompute=recompute) / rate
    pass_calls = 0.0 if on_gpu else CPU_CALLS / 3
    drawn = geometry.steps * geometry.passes * (sum(forward_flops(geometry, geometry.native)) / rate + pass_calls)
    loading = (geometry.denoiser + geometry.text) * BYTES[precision(geometry, params)] / READ_RATE
    others = int(params.get("class_images", 0))
    rest = IMPORTS + loading + (previews(params) + others) * drawn + pictures * (0.3 if on_gpu else 0.1)
    return Seconds(step, rest)


def _flops_per_second(device: str) -> float:
    known = (tflops for name, tflops in PEAK_TFLOPS.items() if name in device)
    return next(known, UNKNOWN_GPU_TFLOPS) * 1e12 * REACHED


# What to choose


@dataclass(frozen=True)
class Machine:
    """Where it will run: bytes of GPU memory (or, without a GPU, of free main memory) and of main memory in all."""

    device: Literal["cpu", "cuda"]
    name: str
    memory: int
    ram: int
    bf16: bool = True

    @property
    def usable(self) -> int:
        return self.memory - (CONTEXT if self.device == "cuda" else 0)

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"


@dataclass(frozen=True)
class Decision:
    """One choice of the plan and the reason, in a sentence."""

    setting: str
    value: Any
    text: str


@dataclass(frozen=True)
class Fit:
    """The parameters to use, the bytes of the machine's memory they take, and whether those are there."""

    params: Params
    recompute: bool
    needed: int
    fits: bool
    decisions: tuple[Decision, ...]


def needed_bytes(geometry: Geometry, params: Params, machine: Machine, *, recompute: bool, factor: float = 1.0) -> int:
    """Of the memory that `machine.memory` means. `factor`: what earlier trainings took, by what had been predicted."""
    if machine.on_gpu:
        return int(factor * device_bytes(geometry, params, recompute=recompute))
    return int(factor * host_bytes(geometry, params, on_gpu=False, recompute=recompute))


def fit(
    base: Base, geometry: Geometry, params: Params, machine: Machine, *, may: frozenset[str], factor: float = 1.0
) -> Fit:
    """The first that fits of: each resolution from the wanted one down, whole weights before 8 bits, nothing computed
    twice before recomputed activations. Only settings named in `may` are changed; nothing fits: the last, `fits` False.

    So a picture's size is given up last, and speed first."""
    asked = _with_usable_precision(params, machine, may)
    tried: list[tuple[Params, bool, int]] = []
    for candidate, recompute in _ladder(base, asked, may):
        needed = needed_bytes(geometry, candidate, machine, recompute=recompute, factor=factor)
        tried.append((candidate, recompute, needed))
        if needed <= machine.usable:
            break
    chosen, recompute, needed = tried[-1]
    decisions = tuple(_explained(geometry, params, tried, machine))
    return Fit(chosen, recompute, needed, needed <= machine.usable, decisions)


def _with_usable_precision(params: Params, machine: Machine, may: frozenset[str]) -> Params:
    if machine.on_gpu and not machine.bf16 and params.get("precision") == "bf16" and "precision" in may:
        return {**params, "precision": "fp32"}
    return params


def _ladder(base: Base, params: Params, may: frozenset[str]) -> Iterator[tuple[Params, bool]]:
    """Candidates, the best first; the second value says whether activations are computed twice."""
    sizes = sorted((size for size in base.sizes if size < params["resolution"]), reverse=True)
    resolutions = [params["resolution"], *(sizes if "resolution" in may else [])]
    shrunk = "quantize" in params and params["quantize"] == "none" and "quantize" in may
    weights = [params.get("quantize"), *(["int8"] if shrunk else [])]
    wish = params.get("gradient_checkpointing", "auto")
    twice = {"on": [True], "off": [False]}.get(wish, [False, True])
    for resolution, quantize, recompute in product(resolutions, weights, twice):
        quantized = {} if quantize is None else {"quantize": quantize}
        yield {**params, "resolution": resolution, **quantized}, recompute


def _explained(
    geometry: Geometry, asked: Params, tried: list[tuple[Params, bool, int]], machine: Machine
) -> Iterator[Decision]:
    chosen, recompute, needed = tried[-1]
    if chosen.get("precision") != asked.get("precision"):
        yield Decision("precision", chosen["precision"], f"fp32: {machine.name} does not compute in bf16.")
    if chosen["resolution"] != asked["resolution"]:
        best = _least(tried, lambda params: params["resolution"] == asked["resolution"])
        text = f"{chosen['resolution']} px: at {asked['resolution']} px it would need {_of(best, machine)}."
        yield Decision("resolution", chosen["resolution"], text)
    if chosen.get("quantize") != asked.get("quantize"):
        same = {"resolution": chosen["resolution"], "quantize": asked["quantize"]}
        best = _least(tried, lambda params: {name: params[name] for name in same} == same)
        text = f"The base is kept in 8 bits: whole, it would need {_of(best, machine)}."
        yield Decision("quantize", chosen["quantize"], text)
    yield _twice_or_not(tried, chosen, recompute, needed, machine, asked)
    if not geometry.small and machine.on_gpu:
        read = gigabytes(phases(geometry, chosen, recompute=recompute)["reading"])
        text = f"Text encoders ({read}) read the captions first and leave the GPU before the first step."
        yield Decision("offload", "text encoders", text)


def _twice_or_not(
    tried: list[tuple[Params, bool, int]], chosen: Params, recompute: bool, needed: int, machine: Machine, asked: Params
) -> Decision:
    """Whether activations are recomputed, and why."""
    wish = asked.get("gradient_checkpointing", "auto")
    if wish != "auto":
        text = "Parts of a step are computed twice" if recompute else "Nothing is computed twice"
        return Decision("gradient_checkpointing", wish, f"{text}, as you chose.")
    if not recompute:
        text = f"Nothing is computed twice (no gradient checkpointing): {_of(needed, machine)} are enough."
        return Decision("gradient_checkpointing", "off", text)
    once = next(each for params, twice, each in reversed(tried) if params == chosen and not twice)
    text = f"Parts of a step are computed twice, a third slower: otherwise it would need {_of(once, machine)}."
    return Decision("gradient_checkpointing", "on", text)


def _least(tried: list[tuple[Params, bool, int]], wanted: Any) -> int:
    return min(needed for params, _, needed in tried if wanted(params))


def _of(needed: int, machine: Machine) -> str:
    return f"{gigabytes(needed)} of {gigabytes(machine.usable)}"


def gigabytes(count: float) -> str:
    return f"{count / GIB:.1f} GB" if count < 10 * GIB else f"{count / GIB:.0f} GB"


def that_would_fit(
    base: Base, geometry: Geometry, params: Params, machine: Machine, *, factor: float = 1.0
) -> Params | None:
    """The mildest changes with which it fits, by name; None: no setting is small enough for this machine.

    A batch is split into accumulated ones before anything visible is given up, since the step stays the same; then the
    pictures' size, then the LoRA's rank."""
    freed = {**params, **({"gradient_checkpointing": "auto"} if "gradient_checkpointing" in params else {})}
    sizes = sorted({size for size in base.sizes if size < params["resolution"]} | {params["resolution"]}, reverse=True)
    ranks = sorted({params["lora_rank"], min(16, params["lora_rank"]), 4}, reverse=True)
    together = int(params["batch_size"] * params.get("gradient_accumulation", 1))
    for rank, size, batch in product(ranks, sizes, _halves(params["batch_size"])):
        split = {"batch_size": batch, "gradient_accumulation": min(8, together // batch)}
        trial = {**freed, **split, "resolution": size, "lora_rank": rank}
        found = fit(base, geometry, trial, machine, may=frozenset({"precision", "quantize"}), factor=factor)
        if found.fits:
            return {name: value for name, value in found.params.items() if params.get(name) != value}
    return None


def _halves(batch: int) -> list[int]:
    """8 → 8, 4, 2, 1."""
    return [batch >> places for places in range(batch.bit_length()) if batch >> places]


def least_bytes(base: Base, geometry: Geometry, params: Params) -> int:
    """Of a GPU's memory, with every setting at its smallest; what a driver keeps for itself included."""
    small = {**params, "batch_size": 1, "resolution": min(base.sizes), "lora_rank": 4}
    small |= {"quantize": "int8"} if "quantize" in params else {}
    return device_bytes(geometry, small, recompute=True) + CONTEXT
