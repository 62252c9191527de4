"""`manage.py studio` as a user meets it: ready, quick the second time, gone on SIGTERM, one sentence when it cannot."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isengard.studio.paths import StatePaths
from isengard.studio.process import alive, until
from tests.studio.conftest import ROOT, clean_environment
from tests.studio.test_services import nothing_runs, socket_inodes, tcp_listeners


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Studio:
    """A running `manage.py studio` on a volume of its own."""

    def __init__(self, state: StatePaths, port: int) -> None:
        volume = str(state.state.parent)
        environment = clean_environment(VOLUME_ROOT=volume, STATE_DIR=str(state.state))
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        command = [sys.executable, "manage.py", "studio", "--port", str(port)]
        self.url, self.lines, self.started = f"http://127.0.0.1:{port}", [""], time.monotonic()
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def wait_for(self, text: str) -> float:
        """Seconds until a line with `text` was printed."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return time.monotonic() - self.started
        raise AssertionError("".join(self.lines[-40:]))

    def end(self, signum: int = signal.SIGTERM) -> str:
        """Send the signal, wait for the end, return all that was printed."""
        self.process.send_signal(signum)
        rest, _ = self.process.communicate(timeout=90)
        return "".join(self.lines) + rest

    def descendants(self) -> list[int]:
        table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in table.splitlines()]
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in pairs if parent == pid]
        return found


@contextmanager
def studio(state: StatePaths, port: int | None = None) -> Iterator[Studio]:
    running = Studio(state, port or free_port())
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


def test_the_page_answers_and_everything_is_gone_after_sigterm(state: StatePaths) -> None:
    with studio(state) as running:
        assert running.wait_for("Isengard is ready") < 60
        with urllib.request.urlopen(running.url) as page:
            assert page.status == 200
        family = running.descendants()
        running.end()
    assert running.process.returncode == 0
    assert nothing_runs(state)
    assert until(lambda: not any(alive(pid) for pid in family), 5)


def test_only_the_web_port_listens(state: StatePaths) -> None:
    with studio(state) as running:
        running.wait_for("Isengard is ready")
        listening = [socket_inodes(pid) & tcp_listeners() for pid in running.descendants()]
    assert len(set().union(*listening)) == 1


def test_the_second_start_is_quicker_and_makes_no_second_sample(state: StatePaths) -> None:
    with studio(state) as first:
        slow = first.wait_for("Isengard is ready")
    with studio(state) as second:
        quick = second.wait_for("Isengard is ready")
        printed = second.end()
    assert quick < slow
    assert not re.search("Preparing the database|sample", printed)


def test_a_killed_studio_leaves_nothing_behind(state: StatePaths) -> None:
    with studio(state) as running:
        running.wait_for("Isengard is ready")
        family = running.descendants()
        running.end(signal.SIGKILL)
    assert until(lambda: nothing_runs(state), 90)
    assert until(lambda: not any(alive(pid) for pid in family), 90)


def test_a_killed_web_server_comes_back(state: StatePaths) -> None:
    with studio(state) as running:
        running.wait_for("Isengard is ready")
        family = running.descendants()
        web = [pid for pid in family if b"daphne" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(web[0], signal.SIGKILL)
        running.wait_for("web ended by signal SIGKILL; starting it again")
        assert until(lambda: answers(running.url), 30)


def answers(url: str) -> bool:
    try:
        return int(urllib.request.urlopen(url).status) == 200
    except OSError:
        return False


def test_a_taken_port_is_one_sentence(state: StatePaths) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        printed, _ = (running := Studio(state, port)).process.communicate(timeout=60)
    assert running.process.returncode != 0
    assert f"Port {port} on 127.0.0.1 is already taken" in printed
    assert f"make run PORT={port + 1}" in printed
    assert len(printed.strip().splitlines()) == 1
    assert nothing_runs(state)


def test_a_second_studio_on_the_same_data_is_refused(state: StatePaths) -> None:
    with studio(state) as running:
        running.wait_for("Isengard is ready")
        printed, _ = (second := Studio(state, free_port())).process.communicate(timeout=60)
    assert second.process.returncode != 0
    assert "already running" in printed


@pytest.mark.parametrize(("name", "value"), [("ISENGARD_MODE", "fast"), ("FREE_SPACE_FLOOR_MB", "999999999")])
def test_a_bad_setting_ends_the_start(
    state: StatePaths, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    running = Studio(state, free_port())
    printed, _ = running.process.communicate(timeout=60)
    assert running.process.returncode != 0
    assert "Traceback" not in printed
    assert name in printed
