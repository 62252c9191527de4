"""`manage.py studio` as a user meets it: ready, quick the second time, gone on SIGTERM, one sentence when it cannot."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from isengard.studio.paths import StatePaths
from isengard.studio.process import alive, die_with_parent, until
from tests.ports import free_port
from tests.studio.conftest import ROOT, clean_environment, state_directory
from tests.studio.test_services import nothing_runs, socket_inodes, tcp_listeners

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Studio:
    """A running `manage.py studio` on a volume of its own."""

    def __init__(self, state: StatePaths, port: int) -> None:
        volume = str(state.state.parent)
        environment = clean_environment(VOLUME_ROOT=volume, STATE_DIR=str(state.state))
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        command = [sys.executable, "manage.py", "studio", "--port", str(port)]
        self.state = state
        self.url, self.lines = f"http://127.0.0.1:{port}", [""]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )

    def wait_for(self, text: str) -> None:
        """Return when a line with `text` was printed."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return
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


@pytest.fixture(scope="module")
def running() -> Iterator[Studio]:
    """One studio for the tests that only look at it."""
    with state_directory() as state, studio(state) as found:
        found.wait_for("Isengard is ready")
        yield found


@dataclass(frozen=True)
class Stopped:
    """What a first start and a SIGTERM left."""

    state: StatePaths
    code: int
    family: list[int]


@pytest.fixture(scope="module")
def stopped() -> Iterator[Stopped]:
    with state_directory() as state, studio(state) as found:
        found.wait_for("Isengard is ready")
        family = found.descendants()
        found.end()
        yield Stopped(state, found.process.returncode, family)


def test_the_page_answers(running: Studio) -> None:
    assert answers(running.url)


def test_readers_at_once_leave_no_connections_to_the_database(running: Studio) -> None:
    with ThreadPoolExecutor(12) as readers:
        assert all(readers.map(answers, [f"{running.url}/characters"] * 96))
    with psycopg.connect(running.state.database_url) as database:
        held = database.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    assert held is not None and held[0] < 24


def test_only_the_web_port_listens(running: Studio) -> None:
    listening = [socket_inodes(pid) & tcp_listeners() for pid in running.descendants()]
    assert len(set().union(*listening)) == 1


def test_a_second_studio_on_the_same_data_is_refused(running: Studio) -> None:
    printed, _ = (second := Studio(running.state, free_port())).process.communicate(timeout=120)
    assert second.process.returncode != 0
    assert "already running" in printed


def test_a_killed_web_server_comes_back(running: Studio) -> None:
    web = [pid for pid in running.descendants() if b"isengard.server" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(web[0], signal.SIGKILL)
    running.wait_for("web ended by signal SIGKILL; starting it again")
    assert until(lambda: answers(running.url), 60)


def test_everything_is_gone_after_sigterm(stopped: Stopped) -> None:
    assert stopped.code == 0
    assert until(lambda: not any(alive(pid) for pid in stopped.family), 60)
    assert nothing_runs(stopped.state)


def test_the_second_start_neither_migrates_nor_makes_a_second_sample(stopped: Stopped) -> None:
    with studio(stopped.state) as second:
        second.wait_for("Isengard is ready")
        printed = second.end()
    assert not re.search("Preparing the database|sample", printed)


def test_a_killed_studio_leaves_nothing_behind(stopped: Stopped) -> None:
    with studio(stopped.state) as killed:
        killed.wait_for("Isengard is ready")
        family = killed.descendants()
        killed.end(signal.SIGKILL)
    assert until(lambda: nothing_runs(stopped.state), 90)
    assert until(lambda: not any(alive(pid) for pid in family), 90)


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
        printed, _ = (running := Studio(state, port)).process.communicate(timeout=120)
    assert running.process.returncode != 0
    assert f"Port {port} on 127.0.0.1 is already taken" in printed
    assert f"make run PORT={port + 1}" in printed
    assert len(printed.strip().splitlines()) == 1
    assert nothing_runs(state)


@pytest.mark.parametrize(("name", "value"), [("ISENGARD_MODE", "fast"), ("FREE_SPACE_FLOOR_MB", "999999999")])
def test_a_bad_setting_ends_the_start(
    state: StatePaths, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    running = Studio(state, free_port())
    printed, _ = running.process.communicate(timeout=120)
    assert running.process.returncode != 0
    assert "Traceback" not in printed
    assert name in printed
