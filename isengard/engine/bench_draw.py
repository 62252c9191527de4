"""Pictures at FLUX.1's own size on an NVIDIA GPU: the published geometry with random weights, made on the GPU, so that
no model has to be there. What presets, batches and LoRAs cost; a random model draws nothing, so nothing about quality.

H-numbers as in docs/benchmarks.md. Without CUDA there is nothing to measure (NoGpu)."""

import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch import _dynamo

from isengard.engine import bench, catalog, families, sampling, speed
from isengard.engine.bench_full import KEY, NoGpu, random_model, write_configs
from isengard.engine.bench_train import Report, Row
from isengard.engine.families.base import Embeds, Family
from isengard.engine.lora_file import Provenance
from isengard.engine.pipelines import Registry
from isengard.engine.sampling import Look
from isengard.engine.specs import BaseModel, LoraRef
from isengard.engine.trainer.lora import Lora

ROUNDS = 5
SWAPS = 6
RANK = 32
# FLUX.1's autoencoder.
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


@dataclass(frozen=True)
class Case:
    """Pictures to time; `target` is seconds for one of them."""

    name: str
    speed: str
    look: Look
    batch: int = 1
    decoded: bool = False
    target: float | None = None


DEV, SCHNELL = Look(1024, 1024, 28, 3.5), Look(1024, 1024, 4, 1.0)
CASES = (
    Case("H1 1024 px, 28 steps, exact", "exact", DEV, target=5.2),
    Case("H2 1024 px, 28 steps, fast", "fast", DEV, target=3.9),
    Case("H4 1024 px, 28 steps, fast, batch 4, for a picture", "fast", DEV, batch=4, target=1 / 0.28),
    Case("H5 1024 px, 4 steps, fast, decoded", "fast", SCHNELL, decoded=True, target=0.60),
)


def measure() -> Report:
    """All rows, some minutes on a data-centre GPU. NoGpu."""
    if not torch.cuda.is_available():
        raise NoGpu("There is no NVIDIA GPU here: nothing of the full-size bench was measured.")
    load, device = os.getloadavg()[0], torch.device("cuda")
    with tempfile.TemporaryDirectory(prefix="isengard-draw-") as name:
        folder = write_configs(Path(name))
        model = random_model(folder, device, torch.bfloat16)
        found = tuple(rows(studio(folder, model), CASES))
    gpu = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}"
    return Report(f"{bench.machine()}; {gpu}", load, found)


def studio(folder: Path, model: FluxTransformer2DModel, vae: dict[str, Any] | None = None) -> Family:
    """The family as it is, with what it would read from files put in its place."""
    weight = next(model.parameters())
    family: Any = families.load(BaseModel(KEY, "flux1", str(folder)), weight.device, weight.dtype, "none")
    family._parts["transformer"] = model
    family._parts["vae"] = AutoencoderKL(**(vae or VAE)).to(weight.device, weight.dtype).eval().requires_grad_(False)
    found: Family = family
    return found


def rows(family: Family, cases: tuple[Case, ...]) -> Iterator[Row]:
    for case in cases:
        first = timed(family, case)
        took = statistics.median(timed(family, case) for _ in range(ROUNDS))
        yield Row(case.name, took / case.batch, "s", f"median of {ROUNDS}", target=case.target)
        if case.speed == "fast" and case.batch == 1 and not case.decoded:
            yield Row("H8 compiling, cold", first - took, "s", "the first picture ÷ a later one, as a difference", 15)
            yield from loras(family, case, took)
    yield Row("H3 fp8", None, "s", "not measured: fp8 arithmetic is not offered (docs/log.md says why)", target=2.9)
    family.hasten(speed.EXACT)


def timed(family: Family, case: Case) -> float:
    """Seconds of one drawing, its pictures decoded if the case says so."""
    family.hasten(speed.get(case.speed))
    words, seeds = embeds(family), range(case.batch)

    def work() -> None:
        latents = sampling.draw(family, words, words, seeds=list(seeds), look=case.look)
        if case.decoded:
            sampling.picture(family, latents[:1])

    return bench.seconds(work)


def embeds(family: Family) -> Embeds:
    """Of a prompt that nobody wrote."""
    config, tokens = family.transformer.config, catalog.get(KEY).max_sequence_length
    sizes = {"prompt": (1, tokens, config.joint_attention_dim), "pooled": (1, config.pooled_projection_dim)}
    return {name: torch.randn(size, device=family.device, dtype=family.dtype) for name, size in sizes.items()}


def loras(family: Family, case: Case, without: float) -> Iterator[Row]:
    """What a worn LoRA adds to a compiled picture, and what putting on another one costs."""
    root = Path(family.base.path)
    files = [random_lora(family, root / f"{seed}.safetensors", seed) for seed in (1, 2)]
    registry: Any = Registry(str(family.device))
    registry._family, registry._key = family, (family.base, family.dtype, "none")
    registry.hasten(speed.get(case.speed))
    swaps, worn, before = [], [], 0
    for turn in range(SWAPS):
        swaps.append(bench.seconds(partial(registry.wear, (files[turn % 2],))))
        worn += [timed(family, case) for _ in range(2)][1:]
        before = before or programs()
    yield Row(f"H6 LoRA of rank {RANK} ÷ none", statistics.median(worn) / without, "×", "fast; all layers", 1.08)
    yield Row("H7 LoRA swap, both warm", statistics.median(swaps[2:]), "s", f"median of {SWAPS - 2}", target=0.150)
    yield Row("H7 programs compiled by later swaps", programs() - before, "", f"{SWAPS - 1} swaps", target=0)
    registry.hasten(speed.EXACT)
    family.transformer.unload_lora()


def programs() -> int:
    """How many programs this process has compiled so far."""
    return int(_dynamo.utils.counters["stats"]["unique_graphs"])


def random_lora(family: Family, path: Path, seed: int) -> LoraRef:
    """A LoRA of all layers that changes something."""
    lora = Lora(family, RANK, seed)
    for key, weight in lora.named().items():
        if key.endswith("lora_B.weight"):
            torch.nn.init.normal_(weight, std=0.01)
    made = Provenance(
        base_key=KEY,
        family="flux1",
        title="",
        trigger_word="",
        class_word="",
        rank=RANK,
        steps=1,
        learning_rate=0.0,
        seed=seed,
        images=0,
        class_images=0,
        resolution=1024,
        batch_size=1,
        caption_dropout=0.0,
        targets=lora.targets,
        alpha=RANK,
        optimizer="adamw",
        lr_schedule="constant",
    )
    lora.save(path, made)
    lora.remove()
    return LoraRef(str(path), str(seed) * 64, 1.0)


def small(case: Case, side: int, steps: int) -> Case:
    """The same at another size, to try the bench itself."""
    return replace(case, look=Look(side, side, steps, case.look.guidance))
