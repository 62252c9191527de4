"""The parent of all children: restarts what crashes, stops in order, leaves nobody behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isengard.studio import supervisor as module
from isengard.studio.children import ChildSpec
from isengard.studio.errors import StudioError
from isengard.studio.process import alive, until
from isengard.studio.supervisor import Supervisor, wait_ready
from tests.studio.conftest import ROOT

pytestmark = pytest.mark.integration


def shell(name: str, script: str, stage: int = 0, grace: float = 5.0, once: bool = False) -> ChildSpec:
    return ChildSpec(name, ["sh", "-c", script], stage, grace, once)


def crashed(supervisor: Supervisor, times: int) -> bool:
    return until(lambda: supervisor.tick(0.02) or supervisor.crashes("web") == times, 60)


def ticks(supervisor: Supervisor, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        supervisor.tick(0.02)


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.1, 0.2, 60.0))


def test_a_crashed_child_is_started_again_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(dict(os.environ))
    supervisor.start(shell("web", f"echo x >> {tmp_path}/runs; exit 3"))
    assert crashed(supervisor, 3)
    supervisor.stop()
    assert (tmp_path / "runs").read_text() == "x\n" * 3
    assert "web ended with code 3; starting it again" in capsys.readouterr().out


def test_the_pause_grows_with_every_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.05, 60.0))
    supervisor = Supervisor(dict(os.environ))
    supervisor.start(shell("web", "exit 1"))
    assert crashed(supervisor, 2)
    ticks(supervisor, 0.5)
    assert supervisor.crashes("web") == 2


def test_web_stops_first_then_the_clock_then_the_workers(tmp_path: Path) -> None:
    supervisor = Supervisor(dict(os.environ))
    script = "trap 'echo {0} >> {1}/order; exit 0' TERM; echo up >> {1}/up; while :; do sleep 0.05; done"
    for stage, name in ((2, "gpu0"), (0, "web"), (1, "beat")):
        supervisor.start(shell(name, script.format(name, tmp_path), stage))
    assert until(lambda: (tmp_path / "up").exists() and (tmp_path / "up").read_text() == "up\n" * 3, 60)
    supervisor.stop()
    assert (tmp_path / "order").read_text().split() == ["web", "beat", "gpu0"]


def stubborn(supervisor: Supervisor, tmp_path: Path, grace: float) -> int:
    supervisor.start(shell("gpu0", f"trap '' TERM; touch {tmp_path}/up; while :; do sleep 0.05; done", grace=grace))
    assert until((tmp_path / "up").exists, 60)
    assert supervisor.children[0].process
    return supervisor.children[0].process.pid


def test_a_child_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    supervisor = Supervisor(dict(os.environ))
    pid = stubborn(supervisor, tmp_path, grace=0.3)
    start = time.monotonic()
    supervisor.stop()
    assert not alive(pid)
    assert 0.3 <= time.monotonic() - start < 5


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    supervisor = Supervisor(dict(os.environ))
    pid = stubborn(supervisor, tmp_path, grace=60)
    for _ in range(2):
        supervisor.on_signal(signal.SIGINT, None)
    supervisor.stop()
    assert not alive(pid)


def test_children_die_with_a_killed_parent() -> None:
    program = (
        "import os, time; from isengard.studio.supervisor import Supervisor;"
        "from isengard.studio.children import ChildSpec; s = Supervisor(dict(os.environ));"
        "s.start(ChildSpec('a', ['sleep', '60'], 0));"
        "print(s.children[0].process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert until(lambda: not alive(child), 60)


def test_lines_carry_the_childs_name_and_no_colour_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(dict(os.environ))
    supervisor.start(shell("sample", "printf 'one\\ntwo'", once=True))
    assert until(lambda: supervisor.tick(0.02) or supervisor.succeeded("sample"), 60)
    supervisor.stop()
    assert capsys.readouterr().out == "sample | one\nsample | two\n"


def test_a_once_child_that_fails_is_said_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(dict(os.environ))
    supervisor.start(shell("sample", "exit 4", once=True))
    assert until(lambda: supervisor.tick(0.02) or supervisor.children[0].code == 4, 60)
    ticks(supervisor, 0.2)
    assert capsys.readouterr().out.count("sample ended with code 4") == 1


def test_a_web_server_that_never_comes_up_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.02,))
    supervisor = Supervisor(dict(os.environ))
    supervisor.start(shell("web", "exit 1"))
    with pytest.raises(StudioError, match="web server does not start"):
        wait_ready(supervisor, lambda: False, 30)
