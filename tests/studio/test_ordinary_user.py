"""The services as an ordinary user, and beside another user's on the same machine."""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from isengard.studio import services
from isengard.studio.accounts import Account
from isengard.studio.paths import StatePaths
from tests.studio.conftest import ROOT, ordinary_user

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("own_services"),
    pytest.mark.skipif(
        ordinary_user() is None, reason="needs root, setpriv and a Python in /usr to become another user"
    ),
]
NOBODY = 65534


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="isengard-nobody-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def run_as_nobody(folder: Path, *command: str) -> str:
    prefix, python = ordinary_user() or ([], "")
    paths = f"{ROOT}{os.pathsep}{sysconfig.get_path('purelib')}"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    full = [*prefix, python, "-m", "isengard.studio", "run", "--state-dir", str(folder), "--", *command]
    return subprocess.run(full, cwd="/", env=environment, capture_output=True, text=True, check=True).stdout


def test_an_ordinary_user_runs_both_as_itself(home: Path) -> None:
    owners = run_as_nobody(home / "state", "sh", "-c", f"ps -o uid= -p $(head -1 {home}/state/pg/postmaster.pid)")
    assert owners.split() == [str(NOBODY)]


def test_two_users_on_one_machine_do_not_meet(home: Path, state: StatePaths) -> None:
    with services.held(state) as ours:
        theirs = run_as_nobody(home / "state", "sh", "-c", 'echo "$DATABASE_URL"')
    assert theirs.strip() != ours.database_url
    assert f"isengard-{NOBODY}-" in theirs


def test_nobody_cannot_reach_our_sockets(state: StatePaths) -> None:
    nobody = Account(NOBODY, NOBODY, switch=True)
    with services.held(state):
        assert not nobody.can_enter(state.redis_socket.parent)
        assert not nobody.can_enter(state.postgres_socket)


def test_root_keeps_the_modes_of_closed_folders(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    paths = StatePaths.of(closed / "state")
    with services.held(paths):
        where = (closed.stat().st_mode & 0o777, paths.root_data.exists())
    shutil.rmtree(paths.root_data)
    assert where == (0o700, True)
