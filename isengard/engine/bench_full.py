"""Our training step at FLUX.1's own size on an NVIDIA GPU: the published geometry with random weights, made on the GPU,
so that no model has to be there. The steps are the trainer's own; only its pictures are noise.

A random model costs what the real one does and draws nothing. Without CUDA there is nothing to measure (NoGpu)."""

import gc
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from torch.utils.flop_counter import FlopCounterMode

from isengard.engine import bench, catalog, families, plan
from isengard.engine.bench_sync import reads_in
from isengard.engine.bench_train import Report, Row
from isengard.engine.families.base import Embeds, Family
from isengard.engine.params import clean_all
from isengard.engine.specs import BaseModel, TrainImage, TrainSpec
from isengard.engine.trainer import loop
from isengard.engine.trainer.data import Dataset, Pair

KEY = "flux-dev"
# The configuration of black-forest-labs/FLUX.1-dev; the rest are FluxTransformer2DModel's and the scheduler's defaults.
TRANSFORMER = {"guidance_embeds": True, "in_channels": 64, "num_layers": 19, "num_single_layers": 38}
VAE = {"block_out_channels": [128, 256, 512, 512], "shift_factor": 0.1159, "scaling_factor": 0.3611}
SCHEDULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True, "shift": 3.0}
WARM_UP, STEPS, LONG = 3, 20, 1000
GEMM = 8192
ATTENTION = ("native", "_native_cudnn")


class NoGpu(Exception):
    """There is no GPU here; the message says what was not measured."""


@dataclass(frozen=True)
class Case:
    """A training to time: T-numbers as in docs/benchmarks.md."""

    name: str
    side: int
    batch: int = 1
    recompute: bool = False
    compiled: bool = True
    target: float | None = None


CASES = (
    Case("T1 512 px, recomputing, eager", 512, recompute=True, compiled=False),
    Case("512 px, eager, as the trainer runs", 512, compiled=False),
    Case("T2 512 px, compiled blocks", 512, target=0.11),
    Case("T3 512 px, batch 4, compiled blocks, for a picture", 512, batch=4, target=0.095),
    Case("T4 768 px, compiled blocks", 768, target=0.20),
    Case("T5 1024 px, compiled blocks", 1024, target=0.36),
    Case("T6 1024 px, recomputing, compiled blocks", 1024, recompute=True, target=0.50),
)
PEAKS = {"T2 512 px, compiled blocks": 34.0, "T5 1024 px, compiled blocks": 50.0}


def measure() -> Report:
    """All rows, some minutes on a data-centre GPU. NoGpu."""
    if not torch.cuda.is_available():
        raise NoGpu("There is no NVIDIA GPU here: nothing of the full-size bench was measured.")
    load = os.getloadavg()[0]
    ceiling = gemm_tflops()
    with tempfile.TemporaryDirectory(prefix="isengard-full-") as name:
        folder = write_configs(Path(name))
        device = torch.device("cuda")
        model = random_model(folder, device, torch.bfloat16)
        fastest = list(_attention(folder, model))
        rows = [Row("GEMM of this GPU", ceiling, "TFLOP/s", f"{GEMM}³ bf16, random numbers; median of 20"), *fastest]
        for case in CASES:
            rows += time_case(folder, model, case, ceiling)
        rows += long_run(folder, model)
    gpu = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}"
    return Report(f"{bench.machine()}; {gpu}", load, (*rows, *_left_out()))


def _left_out() -> Iterator[Row]:
    why = "not measured: the script reads 24 GB of a model's files, and random weights have none"
    yield Row("T9 step, script ÷ ours", None, "×", why, target=4.0, at_least=True)


# The model and its training


def write_configs(folder: Path, transformer: dict[str, Any] | None = None) -> Path:
    """A base's folder without weights: what the family reads before it loads any."""
    parts = {"transformer/config.json": transformer or TRANSFORMER, "vae/config.json": VAE}
    for name, config in {**parts, "scheduler/scheduler_config.json": SCHEDULER}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config))
    return folder


def random_model(folder: Path, device: torch.device, dtype: torch.dtype) -> FluxTransformer2DModel:
    """Made where it will be used: 24 GB never pass through the host."""
    config = json.loads((folder / "transformer" / "config.json").read_text())
    with torch.device("meta"):
        model = FluxTransformer2DModel.from_config(config)
    model = model.to(dtype).to_empty(device=device).requires_grad_(False).eval()
    for weight in model.parameters():
        weight.data.normal_(0, 0.02)
    return model


class FullSize(loop.Training):
    """The trainer itself; only what it would read from files is noise."""

    def __init__(self, folder: Path, model: FluxTransformer2DModel, case: Case) -> None:
        self._model = model
        image = TrainImage("noise", "0" * 64, "a photo of ohwx")
        params = clean_all(
            catalog.training_params(KEY),
            {
                "resolution": case.side,
                "batch_size": case.batch,
                "lora_layers": "attention",
                "steps": 10_000,
                "gradient_checkpointing": "on" if case.recompute else "off",
            },
        )
        words = ("ohwx", "woman", ("a photo of ohwx",))
        base = BaseModel(KEY, "flux1", str(folder))
        spec = TrainSpec("bench", base, str(folder / "run"), str(folder / "cache"), (image,), *words, params)
        super().__init__(spec, bench.silent, lambda: False)

    def _prepare(self) -> tuple[Family, Dataset, list[Embeds]]:
        weight = next(self._model.parameters())
        family: Any = families.load(self.spec.base, weight.device, weight.dtype, "none")
        family._parts["transformer"] = self._model  # what it would read from 24 GB of files
        config, side = self._model.config, self.params["resolution"] // family.stride
        tokens = catalog.get(KEY).max_sequence_length
        embeds = {
            "prompt": torch.randn(1, tokens, config.joint_attention_dim, device=weight.device, dtype=weight.dtype),
            "pooled": torch.randn(1, config.pooled_projection_dim, device=weight.device, dtype=weight.dtype),
        }
        latents = torch.randn(config.in_channels // 4, side, side, device=weight.device)
        if self.params["gradient_checkpointing"] == "on":
            self._model.enable_gradient_checkpointing()
        return family, Dataset([Pair(latents, embeds)], [], embeds), []


@contextmanager
def running(folder: Path, model: FluxTransformer2DModel, case: Case) -> Iterator[FullSize]:
    """A training of the case; the model is as before afterwards, so that 24 GB are made once."""
    training = FullSize(folder, model, case)
    if case.compiled:
        model.compile_repeated_blocks()
    try:
        yield training
    finally:
        if case.compiled:
            for module in model.modules():
                module._compiled_call_impl = None
            torch.compiler.reset()
        model.disable_gradient_checkpointing()
        model.unload_lora()
        training.optimizer.state.clear()
        gc.collect()
        torch.cuda.empty_cache()


# What is measured


def gemm_tflops() -> float:
    """What this GPU reaches in one large bf16 product of random numbers: the ceiling of everything below."""
    left, right = (torch.randn(GEMM, GEMM, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(WARM_UP):
        left @ right
    took = statistics.median(span.seconds for span in spans(lambda: left @ right, 20))
    return 2 * GEMM**3 / took / 1e12


@dataclass(frozen=True)
class Span:
    """One piece of work by the GPU's own clock: its seconds, and those in which it waited for it to begin."""

    seconds: float
    idle: float


def spans(work: Callable[[], Any], count: int) -> list[Span]:
    marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(count)]  # type: ignore[no-untyped-call]
    for began, ended in marks:
        began.record()
        work()
        ended.record()
    torch.cuda.synchronize()
    gaps = [0.0, *(before[1].elapsed_time(after[0]) for before, after in pairwise(marks))]
    return [Span(a.elapsed_time(b) / 1e3, gap / 1e3) for (a, b), gap in zip(marks, gaps, strict=True)]


def _attention(folder: Path, model: FluxTransformer2DModel) -> Iterator[Row]:
    """A step with each of the attention kernels; the fastest is kept for what follows."""
    case, found = Case("attention", 1024, compiled=False), {}
    for name in ATTENTION:
        model.set_attention_backend(name)
        with running(folder, model, case) as training:
            found[name] = _median(training)
        yield Row(f"1024 px, eager, attention {name}", found[name], "s", f"median of {STEPS} steps")
    model.set_attention_backend(min(found, key=lambda name: found[name]))


def _median(training: FullSize) -> float:
    spans(training.step, WARM_UP)
    return statistics.median(span.seconds for span in spans(training.step, STEPS))


def time_case(folder: Path, model: FluxTransformer2DModel, case: Case, ceiling: float) -> Iterator[Row]:
    with running(folder, model, case) as training:
        flops = _flops(training) if not case.compiled else 0
        spans(training.step, WARM_UP)
        torch.cuda.reset_peak_memory_stats()
        seen = spans(training.step, STEPS)
        took = sorted(span.seconds for span in seen)
        peak = torch.cuda.max_memory_allocated() / plan.GIB
        middle = statistics.median(took)
        reads = [] if case.compiled else reads_in(training.step, STEPS)
    tokens = case.batch * ((case.side // 16) ** 2 + catalog.get(KEY).max_sequence_length)
    reached = f", {flops / middle / 1e12:.0f} TFLOP/s of {ceiling:.0f}" if flops else ""
    how = f"for a picture; median of {STEPS} steps; {tokens} tokens, peak {peak:.1f} GiB{reached}"
    yield Row(case.name, middle / case.batch, "s", how, target=case.target)
    if not case.compiled:
        yield Row("… times the host waits", len(reads) / STEPS, "", "in a step", target=0, sure=True)
    yield from _planned(folder, case, peak)
    if case.name in PEAKS:
        yield Row(f"T7 peak, {case.side} px", peak, "GiB", "allocated", target=PEAKS[case.name])
        idle = sum(span.idle for span in seen) / sum(span.seconds + span.idle for span in seen)
        yield Row(f"T10 longest ÷ median step, {case.side} px", took[-1] / middle, "×", f"of {STEPS}", target=1.05)
        yield Row(f"T10 GPU idle between steps, {case.side} px", idle * 100, "%", f"of {STEPS} steps", target=2)


def _flops(training: FullSize) -> int:
    with FlopCounterMode(display=False) as counter:
        training.step()
    return int(counter.get_total_flops())


def _planned(folder: Path, case: Case, peak: float) -> Iterator[Row]:
    """Planned before the start: base, LoRA, activations and what the allocator loses."""
    params = {"resolution": case.side, "batch_size": case.batch, "lora_layers": "attention"}
    usual = {param.name: param.default for param in catalog.training_params(KEY)}
    geometry = plan.flux1(catalog.get(KEY))
    needed = plan.phases(geometry, {**usual, **params}, recompute=case.recompute)["training"] / plan.GIB
    yield Row("… planned ÷ measured peak", needed / peak, "×", f"the plan says {needed:.1f} GiB for steps")


def long_run(folder: Path, model: FluxTransformer2DModel) -> Iterator[Row]:
    case = Case("T8", 512)
    with running(folder, model, case) as training:
        took = bench.seconds(lambda: [training.step() for _ in range(LONG)])
    yield Row(f"T8 {LONG} steps, 512 px", took, "s", "compiling included; without encoding and saving", target=120)
