"""An engine without torch for tests of the job machinery: the real `serve` loop around a script instead of a model.

    EngineHost(lane, lock, command=scripted_engine.COMMAND).run({"kind": "train", "job": "train-x", "script": {…}}, …)

It takes real specs too (their files then appear, small but valid) and reads `script` beside them, over the defaults of
the environment variable SCRIPTED_ENGINE (JSON), which `EngineHost(env=…)` can set. What a script may say:

steps 5, delay 0.01 (s a step), metrics true, samples 0 (that many, spread over the steps), checkpoints 0, outputs
(number of seeds or 1), crash_at + signal 9, exit_at + status 3, raise_at (an exception nobody foresaw), error_at +
error {code, message, retryable}, ignore_stop, hang_at (heartbeats go on), freeze_at (SIGSTOP: even they stop),
noise_at (rubbish on stdout), say {level, event, message} (a line for the log first), child (start a grandchild `sleep`
in the same group), resume (start at the newest state in run_dir)."""

import argparse
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from isengard.engine import rundir, serve
from isengard.engine.errors import EngineError
from isengard.engine.events import Asks, Event, Sink, Stop

COMMAND = (sys.executable, "-m", "tests.scripted_engine")
DEFAULTS: dict[str, Any] = {"steps": 5, "delay": 0.01, "metrics": True, "samples": 0, "checkpoints": 0}


def work(spec: Event, sink: Sink, stop: Stop, asks: Asks) -> Event:
    script = {**DEFAULTS, **json.loads(os.environ.get("SCRIPTED_ENGINE", "{}")), **spec.get("script", {})}
    if script.get("child"):
        sink("log", level="INFO", event="child", message="", fields={"pid": subprocess.Popen(["sleep", "600"]).pid})
    if script.get("say"):
        sink("log", fields={}, **script["say"])
    if spec["kind"] == "train":
        return train(spec, script, sink, stop, asks)
    return generate(spec, script, sink, stop)


def warm_up() -> None:
    """Seen from outside as an environment a job reports: `log warmed`."""
    os.environ["SCRIPTED_ENGINE_WARM"] = "1"


def train(spec: Event, script: Event, sink: Sink, stop: Stop, asks: Asks) -> Event:
    run, steps = Path(spec.get("run_dir") or "."), int(script["steps"])
    sink("stage", stage="training", message="warm" if os.environ.get("SCRIPTED_ENGINE_WARM") else "scripted")
    first = rundir.step_of(rundir.states(run)[-1]) if script.get("resume") and rundir.states(run) else 0
    step, stopped = first, False
    for step in range(first + 1, steps + 1):
        misbehave(script, step)
        time.sleep(script["delay"])
        sink("progress", step=step, total=steps)
        if script["metrics"]:
            sink(
                "metric",
                step=step,
                loss=1 / step,
                learning_rate=1e-4,
                speed=1 / script["delay"],
                seconds=step * script["delay"],
            )
        wanted = asks()
        if due(step, steps, script["samples"]) or "sample" in wanted:
            sample(spec, run, step, sink)
        stopped = stop() and not script.get("ignore_stop")
        if due(step, steps, script["checkpoints"]) or (stopped and script["checkpoints"]) or "save" in wanted:
            checkpoint(run, step, sink)
        if stopped:
            break
    path = rundir.final(run)
    write(path, lora(step))
    facts = {"path": str(path), "sha256": "0" * 64, "size_bytes": path.stat().st_size, "rank": 4, "steps": step}
    return {**facts, "final_loss": 1 / max(step, 1), "seconds": step * script["delay"], "stopped": stopped}


def generate(spec: Event, script: Event, sink: Sink, stop: Stop) -> Event:
    seeds = list(spec.get("seeds") or range(int(script.get("outputs", 1))))
    steps = int(script["steps"])
    outputs: list[Event] = []
    for index, seed in enumerate(seeds):
        sink("stage", stage="denoising", message="scripted")
        for step in range(1, steps + 1):
            misbehave(script, step)
            time.sleep(script["delay"])
            sink("progress", step=index * steps + step, total=len(seeds) * steps)
            if stop() and not script.get("ignore_stop"):
                return {"outputs": outputs, "seconds": 0.0, "stopped": True}
        path = Path(spec.get("out_dir") or ".") / f"{index:02d}.png"
        size = write(path, png(seed))
        facts = {"width": 1, "height": 1, "size_bytes": size, "seconds": script["delay"]}
        outputs.append({"path": str(path), "index": index, "seed": seed, **facts})
        sink("output", **outputs[-1])
    return {"outputs": outputs, "seconds": len(seeds) * steps * script["delay"], "stopped": False}


def misbehave(script: Event, step: int) -> None:
    if script.get("crash_at") == step:
        os.kill(os.getpid(), script.get("signal", signal.SIGKILL))
    if script.get("exit_at") == step:
        os._exit(script.get("status", 3))
    if script.get("raise_at") == step:
        raise RuntimeError("scripted trouble")
    if script.get("error_at") == step:
        raise EngineError(**{"code": "scripted", "message": "Scripted error.", **script.get("error", {})})
    if script.get("noise_at") == step:
        os.write(1, b"a library talks\n{not json\n")
        print("a print")
    if script.get("freeze_at") == step:
        os.kill(os.getpid(), signal.SIGSTOP)
    while script.get("hang_at") == step:
        time.sleep(0.05)


def due(step: int, steps: int, count: int) -> bool:
    return bool(count) and step % max(steps // count, 1) == 0


def sample(spec: Event, run: Path, step: int, sink: Sink) -> None:
    for index, prompt in enumerate(spec.get("prompts") or ["a prompt"]):
        path = rundir.sample(run, step, index)
        write(path, png(step))
        sink("sample", path=str(path), step=step, prompt_index=index, prompt=prompt, seed=42, width=1, height=1)


def checkpoint(run: Path, step: int, sink: Sink) -> None:
    path, state = rundir.checkpoint(run, step), rundir.state(run, step)
    size = write(path, lora(step))
    write(state, b"scripted")
    kept = [{"step": rundir.step_of(saved), "reason": "scripted"} for saved in rundir.checkpoints(run)]
    sink("checkpoint", path=str(path), step=step, size_bytes=size, state=str(state), loss=1 / step, kept=kept)


def write(path: Path, data: bytes) -> int:
    with rundir.replacing(path) as part:
        part.write_bytes(data)
    return len(data)


def lora(step: int) -> bytes:
    """A valid safetensors file of one tensor, different at each step."""
    header = json.dumps({"step": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<f", step)


def png(shade: int) -> bytes:
    """One grey pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pixel = zlib.compress(bytes([0, shade % 256]))
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripted_engine")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--lock", type=Path)
    parser.add_argument("--parent", type=int)
    parser.add_argument("--lock-wait", type=float, default=serve.LOCK_WAIT)
    options = parser.parse_args()
    facts = {"device": "cpu", "torch": "none"}
    return serve.main(work, lambda: facts, warm_up, lock=options.lock, parent=options.parent, wait=options.lock_wait)


if __name__ == "__main__":
    sys.exit(main())
