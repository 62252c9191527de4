"""Faults injected into the real engine: it ends with a code and a sentence, and what was made before is kept."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

from isengard.engine import catalog, rundir
from isengard.engine.errors import EngineError
from isengard.engine.specs import BaseModel, TrainSpec
from isengard.engine.trainer import loop
from tests.engine.conftest import Events

Make = Callable[..., TrainSpec]
# Room for Pocket and its photos, and not for a batch of 8 at 96 px in fp32.
LITTLE = 90 << 20
# Imports first, so that the limit is about what the training itself takes.
LIMITED = """
import json, resource, sys
from pathlib import Path
import torch
from isengard.engine import serve
from isengard.engine.errors import EngineError
from isengard.engine.families import flux1
from isengard.engine.specs import TrainSpec
from isengard.engine.trainer import loop
torch.set_num_threads(1)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    loop.train(TrainSpec.from_dict(json.loads(sys.argv[1])), lambda type, **fields: None, lambda: False)
except EngineError as error:
    print(error.code, error.message)
except MemoryError as error:
    print(serve.explain(error).code)
"""


def go_on() -> bool:
    return False


def test_an_absurd_learning_rate_is_told_within_three_steps(train_spec: Make, events: Events) -> None:
    with pytest.raises(EngineError, match="learning rate") as caught:
        loop.train(train_spec(steps=50, learning_rate=1e30, warmup_steps=0), events, go_on)
    assert caught.value.code == "loss_not_finite"
    assert len(events.of("metric")) <= 3 and events.of("checkpoint") == []


def test_a_full_disk_is_told_and_the_last_checkpoint_is_kept(
    train_spec: Make, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def full(descriptor: int) -> None:
        if "000006" in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    spec = train_spec(steps=9)
    with pytest.raises(EngineError, match="The disk is full") as caught:
        loop.train(spec, events, go_on)
    run = Path(spec.run_dir)
    assert caught.value.code == "disk_full" and rundir.checkpoints(run) == [rundir.checkpoint(run, 3)]
    assert rundir.states(run) == [rundir.state(run, 3)] and not list(run.rglob("*.part*"))


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_memory_that_runs_out_is_told_with_what_to_lower(train_spec: Make) -> None:
    pocket = BaseModel("pocket", "flux1", str(catalog.POCKET))
    spec = train_spec(base=pocket, batch_size=8, resolution=96, lora_rank=64)
    said = run_limited(spec, LITTLE)
    assert said.startswith("out_of_memory"), said


def run_limited(spec: TrainSpec, limit: int) -> str:
    """Trains in a process that may take `limit` bytes more than its imports; code and sentence of its failure."""
    command = [sys.executable, "-c", LIMITED, json.dumps(spec.to_dict()), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()
