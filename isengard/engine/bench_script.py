"""A public training script beside our loop: the same base, pictures, captions, LoRA and batch, in its own process, its
steps taken in turns with ours. The script is not part of this repository: the bench is given its path.

Knows how diffusers' train_dreambooth_lora_flux.py is called; changes nothing in it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from isengard.engine import bench_launch, catalog
from isengard.engine.serve import QUIET_ENVIRONMENT
from isengard.engine.trainer import loop

NEVER = 1_000_000


class ScriptFailed(Exception):
    """It ended before it was asked to; the message is its last word."""


@dataclass(frozen=True)
class Program:
    """The script and the Python that has what it imports (ours lacks datasets and torchvision)."""

    path: Path
    python: str = sys.executable


class Script:
    """One run of it, held after each turn. Use as a context: it ends with it."""

    def __init__(self, program: Program, arguments: list[str], folder: Path) -> None:
        self.words = folder / "words.txt"
        command = [program.python, "-P", bench_launch.__file__, str(program.path), *arguments]
        self._began = time.perf_counter()
        with self.words.open("w") as words:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=words, text=True, env=environment(folder)
            )

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def first(self) -> float:
        """Seconds from the start of its process to the end of its first step."""
        self._answer()
        return time.perf_counter() - self._began

    def turn(self, steps: int) -> tuple[float, float]:
        """So many further steps: seconds by the clock and of its processor."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        wall, busy = self._answer().split()
        return float(wall), float(busy)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = self.words.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise ScriptFailed(f"The script ended before its step. Its last word: {last[0]}")
        return line


def environment(folder: Path) -> Mapping[str, str]:
    """No network, caches of its own, one thread as our loop has on the CPU (two wait for each other on a busy box)."""
    own = {"HF_HOME": str(folder / "hf"), "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **QUIET_ENVIRONMENT, **own}


def pictures(ours: loop.Training, folder: Path) -> Path:
    """Our photos and captions as the script wants them: a folder with metadata.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for image in ours.spec.images:
        shutil.copy(image.path, folder)
        lines.append(json.dumps({"file_name": Path(image.path).name, "text": image.caption}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def arguments(ours: loop.Training, photos: Path, folder: Path, *flags: str) -> list[str]:
    """The settings of our training in the script's words, latents cached; `flags` come on top."""
    params, rank, tokens = ours.params, str(ours.lora.rank), catalog.get(ours.spec.base.key).max_sequence_length
    said = {
        "pretrained_model_name_or_path": ours.spec.base.path,
        "dataset_name": str(photos),
        "caption_column": "text",
        "instance_prompt": ours.spec.prompts[0],
        "cache_dir": str(folder / "datasets"),
        "output_dir": str(folder / "out"),
        "resolution": str(params["resolution"]),
        "train_batch_size": str(params["batch_size"]),
        "rank": rank,
        "lora_alpha": rank,
        "lora_layers": ",".join(ours.lora.targets),
        "learning_rate": str(params["learning_rate"]),
        "lr_scheduler": "constant_with_warmup",
        "lr_warmup_steps": str(params["warmup_steps"]),
        "max_train_steps": str(NEVER),
        "checkpointing_steps": str(NEVER),
        "weighting_scheme": "logit_normal",
        "guidance_scale": "1",
        "max_sequence_length": str(tokens),
        "mixed_precision": "no",
        "seed": str(params["seed"]),
    }
    named = [word for name, value in said.items() for word in (f"--{name}", value)]
    return [*named, "--cache_latents", *flags]
