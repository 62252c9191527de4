"""The layout of a training run's folder: the only place that knows its names. No torch, no Django.

    run_dir/samples/000250-00.png            a preview: step, prompt index
    run_dir/checkpoints/000250.safetensors   the LoRA as it was after that step
    run_dir/state/000250.safetensors         everything needed to go on from there; only the newest is kept
    run_dir/lora.safetensors                 the finished LoRA
    run_dir/initial.safetensors              the LoRA that a warm start begins from; the web side puts it there
    run_dir/pinned.json                      [step, …]: checkpoints that must keep their files; the web side writes it

Files appear whole or not at all: written under a temporary name, synced, then renamed."""

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"


def sample(run: Path, step: int, prompt_index: int) -> Path:
    return run / "samples" / f"{step:06d}-{prompt_index:02d}.png"


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"{step:06d}.safetensors"


def state(run: Path, step: int) -> Path:
    return run / "state" / f"{step:06d}.safetensors"


def final(run: Path) -> Path:
    return run / "lora.safetensors"


def initial(run: Path) -> Path:
    return run / "initial.safetensors"


def pinned(run: Path) -> set[int]:
    """Steps whose checkpoints nobody may delete, as the file says now; none where it is missing or damaged."""
    try:
        steps = json.loads((run / "pinned.json").read_text())
        return {int(step) for step in steps}
    except (OSError, ValueError, TypeError):
        return set()


def pin(run: Path, steps: Iterable[int]) -> None:
    """Says anew which checkpoints are pinned; a training that runs hears it at its next one."""
    with replacing(run / "pinned.json") as part:
        part.write_text(json.dumps(sorted(steps)))


def step_of(path: Path) -> int:
    """The step in the name of a sample, checkpoint or state. ValueError: not one of our names."""
    return int(path.stem.split("-")[0])


def checkpoints(run: Path) -> list[Path]:
    """Oldest first."""
    return sorted((run / "checkpoints").glob("[0-9]*.safetensors"), key=step_of)


def states(run: Path) -> list[Path]:
    """Oldest first; the last is the one to resume from."""
    return sorted((run / "state").glob("[0-9]*.safetensors"), key=step_of)


def prune(paths: list[Path], keep: int) -> list[Path]:
    """Deletes all but the last `keep` files of a list and returns what was deleted."""
    gone = paths[: max(len(paths) - keep, 0)]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, same suffix (writers go by it), that takes its place when all went well.

    Synced to disk before the rename, so that after a power cut the name never points at half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{PART}{path.suffix}")
    try:
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(run: Path) -> None:
    """Removes what a killed attempt left half written."""
    for part in run.rglob(f".*{PART}*"):
        part.unlink(missing_ok=True)
