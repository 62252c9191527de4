"""The engine seen from a worker: what it relays, how it is stopped, and how each way of dying is told."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from isengard.jobs.host import EngineFailed, EngineHost, Limits
from tests import scripted_engine

pytestmark = pytest.mark.integration

QUICK = Limits(start=20, silence=4, stall=3, terminate=0.5)
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    host = EngineHost("gpu0", tmp_path / "lock", command=scripted_engine.COMMAND, limits=QUICK)
    yield host
    host.close()


@pytest.fixture
def events() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def run(host: EngineHost, tmp_path: Path, events: list[dict[str, Any]]) -> Run:
    def run(script: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        spec = {"kind": "train", "job": "train-a", "run_dir": str(tmp_path), "script": script or {}}
        return host.run(spec, options.pop("on_event", events.append), **options)

    return run


def after(seconds: float) -> Callable[[], bool]:
    start = time.monotonic()
    return lambda: time.monotonic() - start > seconds


def gone(pid: int, within: float = 20.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_job_ends_with_its_result(run: Run) -> None:
    result = run({"steps": 3})
    assert (result["steps"], result["stopped"]) == (3, False)


def test_every_event_of_the_job_is_relayed_in_order(run: Run, events: list[dict[str, Any]]) -> None:
    run({"steps": 4})
    assert [event["step"] for event in events if event["type"] == "metric"] == [1, 2, 3, 4]


def test_the_next_job_uses_the_same_warm_engine(run: Run, host: EngineHost) -> None:
    run()
    pid = host.pid
    run()
    assert host.pid == pid


def test_a_fresh_engine_takes_the_place_of_a_warm_one(run: Run, host: EngineHost) -> None:
    run()
    pid = host.pid or 0
    run(fresh=True)
    assert host.pid != pid and gone(pid)


def test_a_warmed_engine_is_fresh_until_it_had_a_job(run: Run, host: EngineHost) -> None:
    host.warm()
    pid = host.pid
    run(fresh=True)
    assert host.pid == pid


def test_warming_is_done_before_the_first_job(run: Run, host: EngineHost, events: list[dict[str, Any]]) -> None:
    host.warm()
    run()
    assert next(event for event in events if event["type"] == "stage")["message"] == "warm"


def test_warming_leaves_a_warm_engine_alone(run: Run, host: EngineHost) -> None:
    run()
    pid = host.pid
    host.warm()
    assert host.pid == pid


def test_a_warm_engine_tells_how_long_it_has_been_idle(run: Run, host: EngineHost) -> None:
    run()
    time.sleep(0.2)
    assert 0.2 <= host.idle_seconds < 5


def test_an_engine_that_died_while_idle_is_replaced(run: Run, host: EngineHost) -> None:
    run()
    psutil.Process(host.pid).kill()
    assert gone(host.pid or 0) and run({"steps": 2})["steps"] == 2


def test_a_stop_lets_the_engine_save_and_leave(run: Run) -> None:
    result = run({"steps": 1000, "checkpoints": 1}, should_stop=after(0.5), stop_grace=5)
    assert result["stopped"] and "killed" not in result and Path(result["path"]).exists()


def test_an_engine_survives_a_stop_that_it_obeyed(run: Run, host: EngineHost) -> None:
    run({"steps": 1000}, should_stop=after(0.3), stop_grace=5)
    assert not gone(host.pid or 0, within=0.3)


def test_a_stop_that_is_ignored_ends_in_a_kill(run: Run, host: EngineHost) -> None:
    result = run({"steps": 10000, "ignore_stop": True}, should_stop=after(0.3), stop_grace=0.3)
    assert result == {"type": "result", "job": "train-a", "stopped": True, "killed": True}
    assert host.pid is None


def test_a_stop_reaches_an_engine_that_hangs(run: Run) -> None:
    assert run({"hang_at": 1}, should_stop=after(0.3), stop_grace=0.3)["killed"]


def test_a_kill_takes_the_processes_that_the_engine_started(run: Run, events: list[dict[str, Any]]) -> None:
    children = lambda: [event["fields"]["pid"] for event in events if event["type"] == "log"]  # noqa: E731
    run({"child": True, "hang_at": 1}, should_stop=lambda: bool(children()), stop_grace=0.2)
    assert gone(children()[0])


def test_death_by_signal_is_told_and_may_be_retried(run: Run) -> None:
    with pytest.raises(EngineFailed, match="killed by signal 9") as failure:
        run({"crash_at": 2})
    assert (failure.value.code, failure.value.retryable) == ("engine_killed", True)


def test_a_native_crash_leaves_its_trace_in_the_tail(run: Run) -> None:
    with pytest.raises(EngineFailed, match="SIGSEGV") as failure:
        run({"crash_at": 2, "signal": 11})
    assert "Segmentation fault" in failure.value.tail and "misbehave" in failure.value.tail


def test_an_unforeseen_exception_carries_its_traceback(run: Run) -> None:
    with pytest.raises(EngineFailed, match="scripted trouble") as failure:
        run({"raise_at": 2})
    assert failure.value.code == "engine_crashed" and "Traceback" in failure.value.tail


def test_an_exit_without_a_word_is_a_crash(run: Run) -> None:
    with pytest.raises(EngineFailed, match="exit status 3"):
        run({"exit_at": 2})


def test_an_engine_error_keeps_its_code_and_sentence(run: Run) -> None:
    with pytest.raises(EngineFailed, match="Take less") as failure:
        run({"error_at": 1, "error": {"code": "too_much", "message": "Take less.", "retryable": True}})
    assert (failure.value.code, failure.value.retryable) == ("too_much", True)


def test_heartbeats_without_progress_are_a_stall(run: Run) -> None:
    with pytest.raises(EngineFailed) as failure:
        run({"hang_at": 2})
    assert failure.value.code == "engine_stalled"


def test_silence_is_a_hang(run: Run, host: EngineHost) -> None:
    host._limits = Limits(start=20, silence=2.5, stall=60)
    with pytest.raises(EngineFailed) as failure:
        run({"freeze_at": 2})
    assert failure.value.code == "engine_hung"


def test_no_engine_is_left_after_a_failure(run: Run, host: EngineHost) -> None:
    run()
    pid = host.pid or 0
    with pytest.raises(EngineFailed):
        run({"error_at": 1})
    assert gone(pid) and host.pid is None


def test_trouble_while_relaying_ends_the_engine_at_once(run: Run, host: EngineHost) -> None:
    def lost(event: dict[str, Any]) -> None:
        raise LookupError("lost the lease")

    run()
    pid = host.pid or 0
    with pytest.raises(LookupError):
        run({"steps": 1000}, on_event=lost)
    assert gone(pid, within=2)


def test_lines_that_are_no_events_are_kept_for_the_tail(run: Run) -> None:
    run({"noise_at": 1})
    with pytest.raises(EngineFailed) as failure:
        run({"exit_at": 1})
    assert "a library talks" in failure.value.tail


def test_a_second_engine_waits_for_the_lock_then_says_so(run: Run, tmp_path: Path) -> None:
    run()
    command = (*scripted_engine.COMMAND, "--lock-wait", "0.5")
    second = EngineHost("gpu0", tmp_path / "lock", command=command)
    with pytest.raises(EngineFailed) as failure:
        second.run({"kind": "train", "job": "train-b", "run_dir": str(tmp_path)}, print)
    assert failure.value.code == "gpu_busy"


def test_a_program_that_is_no_engine_fails_with_what_it_said(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('no such module')")
    with pytest.raises(EngineFailed) as failure:
        EngineHost("gpu0", tmp_path / "lock", command=command, limits=QUICK).run({"job": "train-a"}, print)
    assert "no such module" in failure.value.tail


def test_an_engine_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    host = EngineHost("gpu0", tmp_path / "lock", command=command, limits=Limits(start=0.5))
    with pytest.raises(EngineFailed) as failure:
        host.run({"job": "train-a"}, print)
    assert failure.value.code == "engine_start_timeout" and host.pid is None


def test_the_engine_sees_no_secret_of_ours(run: Run, host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "HF_TOKEN"):
        monkeypatch.setenv(name, "secret")
    run()
    assert "secret" not in psutil.Process(host.pid).environ().values()


def test_the_lane_says_which_gpu_the_engine_sees(tmp_path: Path) -> None:
    host = EngineHost("gpu1", tmp_path / "lock", {"CUDA_VISIBLE_DEVICES": "1"}, command=scripted_engine.COMMAND)
    host.run({"kind": "train", "job": "train-a", "run_dir": str(tmp_path)}, print)
    seen = psutil.Process(host.pid).environ()
    host.close()
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"


def test_the_engine_dies_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    engine = int(worker.stdout.readline())
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert gone(engine)


WORKER = """
import sys
from isengard.jobs.host import EngineHost
from pathlib import Path
from tests import scripted_engine

host = EngineHost("gpu0", Path(sys.argv[1]) / "lock", command=scripted_engine.COMMAND)
spec = {"kind": "train", "job": "train-a", "run_dir": sys.argv[1], "script": {"steps": 100000}}
host.run(spec, lambda event: print(host.pid, flush=True))
"""


def test_the_lock_is_free_as_soon_as_the_engine_is_gone(run: Run, host: EngineHost, tmp_path: Path) -> None:
    run()
    os.kill(host.pid or 0, 9)
    started = time.monotonic()
    run(fresh=True)
    assert time.monotonic() - started < 5
