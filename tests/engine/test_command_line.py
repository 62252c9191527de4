"""The engine's own command line, and the real engine behind the worker's host: Pocket trains, then draws."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from isengard.engine import catalog, rundir
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef, TrainImage, TrainSpec
from isengard.jobs.host import EngineFailed, EngineHost
from tests.engine.conftest import TRAIN_PARAMS

pytestmark = [pytest.mark.integration, pytest.mark.slow]
POCKET = BaseModel("pocket", "flux1", str(catalog.POCKET))


def engine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "isengard.engine", *arguments], capture_output=True, text=True, timeout=300
    )


def test_capabilities_are_json() -> None:
    assert json.loads(engine("capabilities").stdout)["device"] in {"cpu", "cuda"}


def test_a_file_that_is_no_spec_gets_a_sentence(tmp_path: Path) -> None:
    done = engine("train", str(tmp_path / "gone.json"))
    assert done.returncode == 2 and "is no spec" in done.stderr


def test_a_spec_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"job": "gen-a", "colour": "red"}')
    done = engine("generate", str(tmp_path / "spec.json"))
    errors = [event for line in done.stdout.splitlines() if (event := json.loads(line))["type"] == "error"]
    assert done.returncode == 1 and errors[0]["code"] == "bad_spec"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    host = EngineHost("gpu0", tmp_path_factory.mktemp("locks") / "gpu0")
    yield host
    host.close()


@pytest.fixture(scope="module")
def trained(
    studio: EngineHost, photos: tuple[TrainImage, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result and the events of two steps on Pocket through a real engine process."""
    folder, events = tmp_path_factory.mktemp("real"), list[dict[str, Any]]()
    params = {**TRAIN_PARAMS, "steps": 2, "resolution": 64, "checkpoint_every_n_steps": 2}
    spec = TrainSpec("train-a", POCKET, str(folder), str(folder / "cache"), photos, "ohwx", "woman", ("ohwx",), params)
    return studio.run(_json(spec), events.append, fresh=True), events


def _json(spec: TrainSpec | GenerateSpec) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(spec.to_dict()))
    return plain


def test_pocket_trains_in_a_real_engine(trained: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    result, events = trained
    assert Path(result["path"]).stat().st_size == result["size_bytes"]
    assert {"stage", "sample", "metric", "checkpoint", "progress"} <= {event["type"] for event in events}


def test_the_same_engine_draws_with_the_new_lora(
    studio: EngineHost, trained: tuple[dict[str, Any], list[dict[str, Any]]], tmp_path: Path
) -> None:
    lora = LoraRef(trained[0]["path"], trained[0]["sha256"], 1.0)
    params = {"width": 64, "height": 64, "steps": 2, "guidance_scale": 2.5, "negative_prompt": ""}
    spec = GenerateSpec("gen-a", POCKET, str(tmp_path), str(tmp_path / "cache"), "ohwx", (1, 2), params, (lora,))
    pid = studio.pid
    outputs = studio.run(_json(spec), lambda event: None)["outputs"]
    assert studio.pid == pid and [Image.open(output["path"]).size for output in outputs] == [(64, 64)] * 2


def test_a_lora_that_is_gone_fails_with_a_sentence(studio: EngineHost, tmp_path: Path) -> None:
    lora = LoraRef(str(tmp_path / "gone.safetensors"), "b" * 64, 1.0)
    params = {"width": 64, "height": 64, "steps": 2, "guidance_scale": 2.5, "negative_prompt": ""}
    spec = GenerateSpec("gen-b", POCKET, str(tmp_path), str(tmp_path / "cache"), "ohwx", (1,), params)
    with pytest.raises(EngineFailed) as failure:
        studio.run(_json(replace(spec, loras=(lora,))), lambda event: None)
    assert failure.value.code not in {"engine_crashed", "engine_killed"}


def test_a_killed_training_goes_on_from_its_last_checkpoint(
    studio: EngineHost, photos: tuple[TrainImage, ...], tmp_path: Path
) -> None:
    params = {**TRAIN_PARAMS, "steps": 300, "resolution": 64, "checkpoint_every_n_steps": 2, "batch_size": 1}
    spec = TrainSpec("train-k", POCKET, str(tmp_path), str(tmp_path / "c"), photos, "ohwx", "woman", ("ohwx",), params)
    with pytest.raises(EngineFailed, match="signal 9"):
        studio.run(_json(spec), lambda event: _kill(studio) if event["type"] == "checkpoint" else None)
    state, events = rundir.states(tmp_path)[-1], list[dict[str, Any]]()
    last = {**params, "steps": rundir.step_of(state) + 2}
    result = studio.run(_json(replace(spec, params=last, resume_from=str(state))), events.append)
    assert "resumed" in {event.get("event") for event in events} and result["steps"] == last["steps"]
    assert min(event["step"] for event in events if event["type"] == "metric") == rundir.step_of(state) + 1


def _kill(host: EngineHost) -> None:
    os.kill(host.pid or 0, signal.SIGKILL)
