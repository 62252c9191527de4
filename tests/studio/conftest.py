"""State directories of their own for the launcher's tests, and the commands that a user would type."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isengard.studio import services
from isengard.studio.paths import StatePaths

ROOT = Path(__file__).resolve().parents[2]


def clean_environment(**more: str) -> dict[str, str]:
    """Ours without the addresses that the surrounding test run was given."""
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")} | more


@contextmanager
def state_directory() -> Iterator[StatePaths]:
    """An empty state directory that the database's account can reach; whatever still runs there is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="isengard-studio-"))
    folder.chmod(0o755)
    paths = StatePaths.of(folder / "state")
    yield paths
    services.unpin(paths)
    shutil.rmtree(folder)


@pytest.fixture
def state() -> Iterator[StatePaths]:
    with state_directory() as paths:
        yield paths


@pytest.fixture
def own_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address is given, so the launcher has to run its own services."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def studio_command(verb: str, paths: StatePaths, *command: str) -> list[str]:
    tail = ["--", *command] if command else []
    return [sys.executable, "-m", "isengard.studio", verb, "--state-dir", str(paths.state), *tail]


def run_with_services(paths: StatePaths, *command: str) -> "subprocess.CompletedProcess[str]":
    full = studio_command("run", paths, *command)
    return subprocess.run(full, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)


def ordinary_user() -> tuple[list[str], str] | None:
    """A command prefix that makes root `nobody`, and a Python that account may run; None where that is impossible."""
    python = shutil.which("python3.11", path="/usr/bin:/usr/local/bin")
    if os.geteuid() != 0 or python is None or shutil.which("setpriv") is None:
        return None
    nobody = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"], python
