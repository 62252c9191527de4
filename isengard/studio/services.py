"""Postgres and Redis while somebody uses them: each user holds a shared lock, the keeper stops them after the last.

`held()` is the way in. The kernel drops the lock of a dead holder, so a kill -9 leaves nothing running. No Django here.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isengard.studio.errors import StudioError
from isengard.studio.paths import StatePaths
from isengard.studio.postgres import Postgres
from isengard.studio.process import FileLock, is_locked, until
from isengard.studio.redis import Redis

START_SECONDS = 150.0
STOP_SECONDS = 60.0
# Below this a database and a checkpoint cannot both be finished; starting would only fail later, in the middle of work.
FREE_FLOOR_MB = 512

Service = Postgres | Redis


@dataclass(frozen=True)
class Addresses:
    """What a program needs to reach the services."""

    database_url: str
    redis_url: str

    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


def wanted(environ: Mapping[str, str]) -> list[str]:
    """Names of the services that are ours to run, because no address was given for them."""
    return [name for name, key in (("postgres", "DATABASE_URL"), ("redis", "REDIS_URL")) if not environ.get(key)]


def build(paths: StatePaths, names: list[str]) -> list[Service]:
    makers: dict[str, type[Postgres] | type[Redis]] = {"redis": Redis, "postgres": Postgres}
    return [makers[name](paths) for name in makers if name in names]


def addresses(paths: StatePaths, environ: Mapping[str, str]) -> Addresses:
    return Addresses(environ.get("DATABASE_URL") or paths.database_url, environ.get("REDIS_URL") or paths.redis_url)


class Hold:
    """This process's share in the services of one state directory."""

    def __init__(self, paths: StatePaths, names: list[str]) -> None:
        self.paths, self.names = paths, names
        prepare(paths)
        self.lock = FileLock(paths.file("users.lock"))

    def acquire(self) -> None:
        """Take a share and wait until every service answers. Raises StudioError with the keeper's sentence."""
        if not self.lock.take(fcntl.LOCK_SH, STOP_SECONDS):
            raise StudioError(f"The services in {self.paths.state} are being stopped and do not finish. Try again.")
        self.ensure()

    def ensure(self) -> None:
        """Start a keeper where none is, and wait for its word."""
        deadline = time.monotonic() + START_SECONDS
        keeper: subprocess.Popen[bytes] | None = None
        while time.monotonic() < deadline:
            if not is_locked(self.paths.file("keeper.lock")):
                self._raise_if_failed(keeper)
                keeper = keeper if keeper and keeper.poll() is None else self._spawn_keeper()
            elif self._ready():
                return
            time.sleep(0.02)
        raise StudioError(
            f"The services did not start within {START_SECONDS:.0f} s (log: {self.paths.file('keeper.log')})."
        )

    def release(self) -> None:
        """Give the share back; when it was the last one, wait until everything has stopped."""
        last = self.lock.try_take(fcntl.LOCK_EX)
        self.lock.close()
        if last and not self.paths.file("pinned").exists():
            wait_stopped(self.paths)

    def _raise_if_failed(self, keeper: subprocess.Popen[bytes] | None) -> None:
        if keeper and keeper.poll():
            raise StudioError(read_status(self.paths).get("error") or "The services could not be started.")

    def _ready(self) -> bool:
        status = read_status(self.paths)
        missing = [name for name in self.names if name not in status.get("services", "").split()]
        if status.get("state") != "ready":
            return False
        if missing:
            raise StudioError(
                f"{self.paths.state} is in use with a DATABASE_URL or REDIS_URL of its own. Use another STATE_DIR."
            )
        return all(service.running() for service in build(self.paths, self.names))

    def _spawn_keeper(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "isengard.studio", "keep", "--state-dir", str(self.paths.state), *self.names]
        with self.paths.file("keeper.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).resolve().parents[2],
                start_new_session=True,
            )


@contextmanager
def held(paths: StatePaths, environ: Mapping[str, str] = os.environ) -> Iterator[Addresses]:
    """The addresses of running services; what this call started is stopped when the last user leaves."""
    names = wanted(environ)
    if not names:
        yield addresses(paths, environ)
        return
    hold = Hold(paths, names)
    try:
        hold.acquire()
        yield addresses(paths, environ)
    finally:
        hold.release()


def prepare(paths: StatePaths) -> None:
    """Make the state directory and refuse a disk that is nearly full."""
    try:
        # Root's directory can be walked through, so that the database's account reaches its own folder in it.
        paths.state.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        writable = os.access(paths.state, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise StudioError(f"Cannot write to {paths.state}. Set STATE_DIR to a folder that belongs to you.")
    free = shutil.disk_usage(paths.state).free // 2**20
    floor = int(os.environ.get("FREE_SPACE_FLOOR_MB") or FREE_FLOOR_MB)
    if free < floor:
        raise StudioError(
            f"The disk is nearly full: {free} MB are free in {paths.state} and at least "
            f"{floor} MB are needed. Free some space, or set STATE_DIR to another disk."
        )


def pin(paths: StatePaths) -> Addresses:
    """Start the services and leave them running until `unpin`."""
    names = wanted(os.environ)
    if names:
        hold = Hold(paths, names)
        try:
            hold.acquire()
            paths.file("pinned").touch()
        finally:
            hold.release()
    return addresses(paths, os.environ)


def unpin(paths: StatePaths) -> bool:
    """Undo `pin`; returns whether everything has stopped, False while somebody else still uses the services."""
    paths.file("pinned").unlink(missing_ok=True)
    if not paths.state.exists():
        return True
    hold = FileLock(paths.file("users.lock"))
    last = hold.try_take(fcntl.LOCK_EX)
    hold.close()
    if last or not is_locked(paths.file("keeper.lock")):
        wait_stopped(paths)
        return True
    return False


def wait_stopped(paths: StatePaths) -> None:
    """Wait for the keeper to stop the services; do it here when the keeper itself was killed."""
    keeper = paths.file("keeper.lock")
    until(lambda: not is_locked(keeper) or _taken_over(paths), STOP_SECONDS)
    lock = FileLock(keeper)
    users = FileLock(paths.file("users.lock"))
    try:
        if lock.try_take() and users.try_take():
            stop(paths, build(paths, ["postgres", "redis"]))
    finally:
        lock.close()
        users.close()


def stop(paths: StatePaths, services: list[Service]) -> None:
    """Stop them in the opposite order and take their socket folder away."""
    for service in reversed(services):
        service.stop()
    if services and not any(service.running() for service in services):
        shutil.rmtree(paths.run, ignore_errors=True)


def _taken_over(paths: StatePaths) -> bool:
    """Somebody else took a share in the meantime, so the keeper goes on. Shared succeeds then, exclusive does not."""
    users = FileLock(paths.file("users.lock"))
    try:
        return not users.try_take(fcntl.LOCK_EX) and users.try_take(fcntl.LOCK_SH)
    finally:
        users.close()


def read_status(paths: StatePaths) -> dict[str, str]:
    """The keeper's last word: state (starting, ready, failed), services, pid, error. Empty when there is none."""
    try:
        found: dict[str, str] = json.loads(paths.file("services.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def write_status(paths: StatePaths, **status: str) -> None:
    """Replace the status in one step, so that no reader sees half of it."""
    fresh = paths.file("services.json.new")
    fresh.write_text(json.dumps(status))
    fresh.replace(paths.file("services.json"))
