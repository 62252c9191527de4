"""Measures the engine on Pocket: training, pictures, cold start, adapters, prompts, events. Nothing is estimated.

Ratios are taken side by side in one process, round by round, so that they survive a busy machine better than times do.
Prints nothing: `__main__` does."""

import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from isengard.engine import capabilities, catalog, recipe, sampling, serve
from isengard.engine.bench_bare import Bare, bare_steps, ours_steps
from isengard.engine.drawing.saving import Saver
from isengard.engine.events import Sink
from isengard.engine.params import clean_all
from isengard.engine.pipelines import Registry
from isengard.engine.pocket.faces import sample_photos
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef, TrainImage, TrainSpec
from isengard.engine.trainer import loop

ROUNDS = 15
STEPS_A_ROUND = 4
PICTURES = 5
LARGE = 1024
PHOTOS = 8
EVENTS = 5000


@dataclass(frozen=True)
class Figure:
    """One measured number. `how` says of what it is the median, or what is divided by what."""

    name: str
    value: float
    unit: str
    how: str


@dataclass(frozen=True)
class Report:
    machine: str
    load: float
    figures: tuple[Figure, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def table(self) -> str:
        rows = [f"| {figure.name} | {figure.value:.4g} {figure.unit} | {figure.how} |" for figure in self.figures]
        busy = f" (more than its {os.cpu_count()} cores can do at once, so times are high)"
        head = f"{self.machine}\nLoad when it began: {self.load:.1f}{busy if self.load > (os.cpu_count() or 1) else ''}"
        return "\n".join([head, "", "| what | measured | how |", "|---|---|---|", *rows])


def measure() -> Report:
    """All figures; some minutes on two cores."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="isengard-bench-") as name:
        kit = Kit(Path(name))
        parts = (training, pictures, saving, adapters, prompts, cold_start, events)
        figures = tuple(figure for part in parts for figure in part(kit))
    return Report(machine(), load, figures)


def machine() -> str:
    facts = capabilities.probe()
    threads = f"{facts.cpus} cores, {torch.get_num_threads()} torch threads"
    return (
        f"{capabilities.processor()}, {threads}, {facts.name}, torch {facts.torch}, Python {platform.python_version()}"
    )


class Kit:
    """Photos of the sample character and specs for short jobs on them, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.base = folder, BaseModel("pocket", "flux1", str(catalog.POCKET))
        self.images = tuple(self._photo(*photo) for photo in sample_photos(128, PHOTOS, name="ohwx"))

    def _photo(self, name: str, picture: Any, caption: str) -> TrainImage:
        path = self.folder / name
        picture.save(path)
        return TrainImage(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), caption)

    def train(self, name: str, **params: Any) -> TrainSpec:
        """A training with Pocket's own defaults, without class pictures (drawing them is not training)."""
        values = clean_all(
            catalog.training_params("pocket"), {"class_images": 0, "preservation": 0.0, "sample_count": 1, **params}
        )
        prompts, cache = ("a photo of ohwx",), str(self.folder / "cache")
        run = str(self.folder / name)
        return TrainSpec(name, self.base, run, cache, self.images, "ohwx", "woman", prompts, values)

    def generate(self, name: str, seeds: tuple[int, ...], loras: tuple[LoraRef, ...] = ()) -> GenerateSpec:
        usual = catalog.generation_params("pocket")
        params = {param.name: param.default for param in usual}
        out, cache = str(self.folder / name), str(self.folder / "cache")
        return GenerateSpec(name, self.base, out, cache, "a photo of ohwx", seeds, params, loras, preview=False)

    def lora(self, seed: int) -> LoraRef:
        """A LoRA of a training just long enough to be one."""
        spec = self.train(f"lora-{seed}", seed=seed)
        result = loop.train(replace(spec, params={**spec.params, "steps": 2}), silent, lambda: False)
        return LoraRef(result["path"], result["sha256"], 1.0)


def silent(_type: str, /, **_fields: Any) -> None:
    """A sink for what is not measured."""


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def training(kit: Kit) -> Iterator[Figure]:
    """Our loop with its meter, progress and plan against the same arithmetic written bare, in turns."""
    with pipe_sink() as sink:
        ours = loop.Training(kit.train("ours", steps=5000), sink, lambda: False)
        bare = Bare(ours)
        turns: tuple[list[float], list[float]] = ([], [])
        ours_steps(ours, 3)
        bare_steps(bare, 3)
        for _ in range(ROUNDS):
            turns[0].append(seconds(partial(ours_steps, ours, STEPS_A_ROUND)))
            turns[1].append(seconds(partial(bare_steps, bare, STEPS_A_ROUND)))
    size = ours.params["batch_size"]
    speed = STEPS_A_ROUND / statistics.median(turns[0])
    ratio = statistics.median(a / b for a, b in zip(*turns, strict=True))
    yield Figure("training", speed, "steps/s", f"batch {size}, 64 px, rank 16; median of {ROUNDS} rounds")
    yield Figure(
        "training step, ours ÷ bare loop", ratio, "×", f"median of {ROUNDS} rounds of {STEPS_A_ROUND} steps in turns"
    )


def pictures(kit: Kit) -> Iterator[Figure]:
    registry, spec = Registry(), kit.generate("pictures", tuple(range(PICTURES)))
    sampling.generate(kit.generate("warm-up", (1,)), silent, lambda: False, registry)
    outputs = sampling.generate(spec, silent, lambda: False, registry)["outputs"]
    middle = statistics.median(output["seconds"] for output in outputs)
    params = spec.params
    size = f"{params['width']} × {params['height']}, {params['steps']} steps, guidance {params['guidance_scale']}"
    yield Figure("picture, warm", middle * 1000, "ms", f"{size}, stored as PNG; median of {PICTURES}")


def saving(kit: Kit) -> Iterator[Figure]:
    """What the next picture waits for while a large one is packed, against what packing it takes."""
    noise = torch.rand((LARGE, LARGE, 3), generator=torch.Generator().manual_seed(0)).mul(255).byte()
    image, facts = Image.fromarray(noise.numpy()), recipe.Recipe("", "", 0, 1, 1.0, "none", LARGE, LARGE, "pocket")
    store = partial(sampling.save_png, image, kit.folder / "large.png", facts)
    took, waited = [], []
    for _ in range(PICTURES):
        took.append(seconds(store))
        with Saver() as saver:
            waited.append(seconds(partial(saver.put, lambda: {"stored": store()})))
    packing, wait = statistics.median(took), statistics.median(waited)
    yield Figure("picture of a megapixel, packed and stored", packing * 1000, "ms", f"noise; median of {PICTURES}")
    yield Figure("of that the next picture waits", wait * 1000, "ms", f"it is stored beside it; median of {PICTURES}")


def adapters(kit: Kit) -> Iterator[Figure]:
    """Two LoRAs worn in turns on a warm base, against loading the base and the LoRA afresh."""
    first, second = kit.lora(1), kit.lora(2)
    registry = Registry()
    registry.use(kit.base)
    for lora in (first, second):
        registry.wear((lora,))
    swaps = [seconds(partial(registry.wear, (lora,))) for _ in range(10) for lora in (first, second)]
    fresh = [seconds(partial(_load_afresh, kit, first)) for _ in range(3)]
    swap, load = statistics.median(swaps), statistics.median(fresh)
    yield Figure("LoRA swap, both warm", swap * 1000, "ms", f"median of {len(swaps)}")
    yield Figure("base and LoRA loaded afresh", load * 1000, "ms", f"median of {len(fresh)}, files in the page cache")
    yield Figure("fresh load ÷ swap", load / swap, "×", "the two above")


def _load_afresh(kit: Kit, lora: LoraRef) -> None:
    registry = Registry()
    registry.use(kit.base)
    registry.wear((lora,))


def prompts(kit: Kit) -> Iterator[Figure]:
    registry, cache = Registry(), kit.folder / "prompts-cache"
    registry.use(kit.base)
    registry.embeds(["a first prompt, which loads the encoders"], cache)
    texts = [f"a photo of ohwx, number {index}" for index in range(10)]
    miss = statistics.median(seconds(partial(registry.embeds, [text], cache)) for text in texts)
    hit = statistics.median(seconds(partial(registry.embeds, [text], cache)) for text in texts)
    registry.close()
    registry.use(kit.base)
    registry.embeds([texts[0]], cache)
    disk = statistics.median(seconds(partial(registry.embeds, [text], cache)) for text in texts[1:])
    yield Figure("prompt, new", miss * 1000, "ms", "both encoders run, stored; median of 10")
    yield Figure("prompt, again", hit * 1000, "ms", "from memory; median of 10")
    yield Figure("prompt, after a restart", disk * 1000, "ms", "from disk; median of 9")


def cold_start(kit: Kit) -> Iterator[Figure]:
    """From starting a process to its first word, first picture and first training step."""
    yield Figure(
        "engine ready", until(["serve"], "ready"), "s", "process start to `ready`; torch comes with the first job"
    )
    spec = kit.folder / "generate.json"
    spec.write_text(json.dumps(kit.generate("cold", (1,)).to_dict()))
    yield Figure(
        "first picture, cold", until(["generate", str(spec)], "output"), "s", "process start to stored picture"
    )
    spec.write_text(json.dumps(kit.train("cold-train").to_dict()))
    how = "process start to step 1, five of the six checks included, pictures and captions from the cache"
    yield Figure("first training step, cold", until(["train", str(spec)], "metric"), "s", how)


def until(arguments: list[str], event: str) -> float:
    """Seconds until a fresh engine says something. RuntimeError: it ended without."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "isengard.engine", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["type"] == event:
                took = time.perf_counter() - began
                process.kill()
                return took
    raise RuntimeError(f"the engine ended without {event}")


def events(kit: Kit) -> Iterator[Figure]:
    with pipe_sink() as sink:
        took = seconds(partial(_say, sink, EVENTS))
    yield Figure("event", took / EVENTS * 1e6, "µs", f"a metric written to a pipe that is read; mean of {EVENTS}")


def _say(sink: Sink, count: int) -> None:
    for step in range(count):
        sink("metric", step=step, loss=0.5, learning_rate=1e-3)


@contextmanager
def pipe_sink() -> Iterator[serve.JobSink]:
    """A job's real sink, writing to a pipe that a thread empties."""
    reading, writing = os.pipe()
    drain = threading.Thread(target=_drain, args=(reading,))
    drain.start()
    try:
        yield serve.JobSink(serve.Writer(writing), "bench", "")
    finally:
        os.close(writing)
        drain.join()
        os.close(reading)


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 1 << 16):
        pass
