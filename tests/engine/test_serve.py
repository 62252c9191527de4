"""The engine's process from outside: its lines, its lock, its ways to end. The script stands in for the model."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from isengard.engine import serve
from tests import scripted_engine

pytestmark = pytest.mark.integration

Event = dict[str, Any]


class Engine:
    """A served engine and the lines it said."""

    def __init__(self, lock: Path, *options: str) -> None:
        command = [*scripted_engine.COMMAND, "serve", "--lock", str(lock), "--parent", str(os.getpid()), *options]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)

    def send(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")

    def run(self, **script: Any) -> None:
        self.send(
            cmd="run", spec={"kind": "train", "job": "train-a", "script": script, "run_dir": script.pop("folder")}
        )

    def until(self, kind: str) -> list[Event]:
        """Events up to and with the first of a kind; AssertionError: the engine ended before."""
        assert self.process.stdout is not None
        seen: list[Event] = []
        for line in self.process.stdout:
            seen.append(json.loads(line))
            if seen[-1]["type"] == kind:
                return seen
        raise AssertionError(f"no {kind} in {seen}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    started: list[Engine] = []

    def start(*options: str) -> Engine:
        started.append(Engine(tmp_path / "lock", *options))
        return started[-1]

    yield start
    for engine in started:
        with suppress(ProcessLookupError):
            os.killpg(engine.process.pid, signal.SIGKILL)
        for pipe in (engine.process.stdin, engine.process.stdout, engine.process.stderr):
            with suppress(BrokenPipeError):
                pipe.close() if pipe else None
        engine.process.wait(5)


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    engine = start()
    engine.until("ready")
    return engine


def test_ready_names_the_process_and_the_device(start: Callable[..., Engine]) -> None:
    engine = start()
    ready = engine.until("ready")[-1]
    assert (ready["pid"], ready["device"]) == (engine.process.pid, "cpu")


def test_it_beats_while_it_waits(engine: Engine) -> None:
    beat = engine.until("heartbeat")[-1]
    assert beat["rss_bytes"] > 1_000_000 and 0 <= beat["cpu_percent"] <= 100


def test_every_event_of_a_job_carries_its_id(engine: Engine, tmp_path: Path) -> None:
    engine.run(steps=3, folder=str(tmp_path))
    events = [event for event in engine.until("result") if event["type"] != "heartbeat"]
    assert {event["job"] for event in events} == {"train-a"}


def test_log_lines_carry_the_correlation_id_of_the_command(engine: Engine, tmp_path: Path) -> None:
    spec = {"kind": "train", "job": "train-a", "run_dir": str(tmp_path), "script": {"child": True}}
    engine.send(cmd="run", spec=spec, correlation_id="req-1234")
    assert engine.until("log")[-1]["correlation_id"] == "req-1234"


def test_what_libraries_print_never_reaches_stdout(engine: Engine, tmp_path: Path) -> None:
    engine.run(noise_at=1, folder=str(tmp_path))
    assert engine.until("result")[-1]["type"] == "result"


def test_progress_comes_at_most_ten_times_a_second_and_ends_at_the_end(engine: Engine, tmp_path: Path) -> None:
    engine.run(steps=50, delay=0.01, metrics=False, folder=str(tmp_path))
    steps = [event["step"] for event in engine.until("result") if event["type"] == "progress"]
    assert len(steps) < 20 and steps[-1] == 50


def test_stop_reaches_the_job_it_names(engine: Engine, tmp_path: Path) -> None:
    engine.run(steps=10000, folder=str(tmp_path))
    engine.until("progress")
    engine.send(cmd="stop", job="train-a")
    assert engine.until("result")[-1]["stopped"] is True


def test_stop_does_not_reach_another_job(engine: Engine, tmp_path: Path) -> None:
    engine.run(steps=30, folder=str(tmp_path))
    engine.send(cmd="stop", job="train-b")
    assert engine.until("result")[-1]["stopped"] is False


def test_an_old_stop_does_not_end_the_next_attempt_of_the_job(engine: Engine, tmp_path: Path) -> None:
    engine.send(cmd="stop", job="train-a")
    engine.run(steps=3, folder=str(tmp_path))
    assert engine.until("result")[-1]["stopped"] is False


def test_an_ask_reaches_the_job_it_names_once(engine: Engine, tmp_path: Path) -> None:
    engine.run(steps=40, delay=0.05, folder=str(tmp_path))
    engine.until("progress")
    engine.send(cmd="ask", job="train-b", what="sample")
    engine.send(cmd="ask", job="train-a", what="save")
    said = [event["type"] for event in engine.until("result")]
    assert (said.count("checkpoint"), said.count("sample")) == (1, 0)


def test_what_cannot_be_asked_is_refused(engine: Engine) -> None:
    engine.send(cmd="ask", job="train-a", what="tea")
    assert engine.until("error")[-1]["code"] == "bad_command"


def test_quit_ends_it_in_peace(engine: Engine) -> None:
    engine.send(cmd="quit")
    assert engine.process.wait(5) == 0


def test_the_end_of_stdin_stops_the_job_and_ends_it(engine: Engine, tmp_path: Path) -> None:
    engine.run(steps=10000, folder=str(tmp_path))
    engine.until("progress")
    assert engine.process.stdin is not None
    engine.process.stdin.close()
    assert engine.until("result")[-1]["stopped"] and engine.process.wait(5) == 0


def test_sigterm_saves_and_leaves(engine: Engine, tmp_path: Path) -> None:
    engine.run(steps=10000, checkpoints=1, folder=str(tmp_path))
    engine.until("progress")
    engine.process.send_signal(signal.SIGTERM)
    assert "checkpoint" in {event["type"] for event in engine.until("result")} and engine.process.wait(5) == 0


def test_sigterm_ends_an_idle_engine(engine: Engine) -> None:
    engine.process.send_signal(signal.SIGTERM)
    assert engine.process.wait(5) == 0


def test_an_engine_error_leaves_the_engine_ready_for_the_next_job(engine: Engine, tmp_path: Path) -> None:
    engine.run(error_at=1, folder=str(tmp_path))
    assert engine.until("error")[-1]["code"] == "scripted"
    engine.run(steps=2, folder=str(tmp_path))
    assert engine.until("result")[-1]["steps"] == 2


def test_an_unforeseen_exception_is_told_and_ends_the_process(engine: Engine, tmp_path: Path) -> None:
    engine.run(raise_at=1, folder=str(tmp_path))
    error = engine.until("error")[-1]
    assert error["code"] == "engine_crashed" and "scripted trouble" in error["detail"]
    assert engine.process.wait(5) == 1


def test_a_line_that_is_no_command_is_refused_and_the_next_is_heard(engine: Engine) -> None:
    assert engine.process.stdin is not None
    engine.process.stdin.write("[1]\n")
    assert engine.until("error")[-1]["code"] == "bad_command"
    engine.send(cmd="quit")
    assert engine.process.wait(5) == 0


def test_the_lock_keeps_a_second_engine_out(engine: Engine, start: Callable[..., Engine]) -> None:
    second = start("--lock-wait", "0.3")
    assert second.until("error")[-1]["code"] == "gpu_busy" and second.process.wait(5) == 1


def test_a_second_engine_takes_over_when_the_first_leaves(engine: Engine, start: Callable[..., Engine]) -> None:
    second = start()
    engine.send(cmd="quit")
    assert second.until("ready")[-1]["pid"] == second.process.pid


def test_the_lock_file_names_its_holder(engine: Engine, tmp_path: Path) -> None:
    assert (tmp_path / "lock").read_text().split() == [str(engine.process.pid)]


def test_an_engine_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    command = [*scripted_engine.COMMAND, "serve", "--lock", str(tmp_path / "lock"), "--parent", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "is gone" in done.stderr


def test_an_engine_is_the_leader_of_its_own_session(engine: Engine) -> None:
    assert os.getsid(engine.process.pid) == engine.process.pid


def test_it_leaves_when_nobody_reads_its_events(engine: Engine, tmp_path: Path) -> None:
    assert engine.process.stdout is not None
    engine.run(steps=10000, folder=str(tmp_path))
    engine.process.stdout.close()
    started = time.monotonic()
    engine.process.wait(5)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (MemoryError(), "out_of_memory", True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), "out_of_memory", True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", True),
        (OSError(28, "No space left on device"), "disk_full", True),
        (RuntimeError("CUDA error: an illegal memory access\nmore"), "cuda_error", True),
        (KeyError("x"), "engine_crashed", False),
    ],
)
def test_what_escapes_gets_the_code_a_user_can_act_on(error: Exception, code: str, retryable: bool) -> None:
    told = serve.explain(error)
    assert (told.code, told.retryable) == (code, retryable)
