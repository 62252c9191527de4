"""The process that owns the local services: starts or adopts, restarts what died, stops after the last user.

It knows its users only through the lock they share. No Django here.
"""

import os
import signal
import time
from contextlib import suppress

from isengard.studio.errors import StudioError
from isengard.studio.paths import StatePaths
from isengard.studio.process import FileLock
from isengard.studio.services import Service, build, stop, write_status

TICK_SECONDS = 0.1
# Asking the servers costs a connection; their death is noticed within this time.
CHECK_SECONDS = 1.0


def keep(paths: StatePaths, names: list[str]) -> int:
    """Run until nobody holds a share. Exit code 0, or 1 when a service could not be started."""
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # A closed terminal must not pull the database away from under the users that still hold a share.
        signal.signal(signum, signal.SIG_IGN)
    lock = FileLock(paths.file("keeper.lock"))
    if not lock.take(seconds=1):  # not at once: a user who looks whether there is a keeper holds it for an instant
        return 0
    services: list[Service] = []
    try:
        write_status(paths, state="starting")
        services = build(paths, names)
        for service in services:
            service.start()
        write_status(paths, state="ready", pid=str(os.getpid()), services=" ".join(names))
        _watch(paths, services)
    except (StudioError, OSError) as error:
        _say(f"{error}")
        write_status(paths, state="failed", error=str(error))
        return 1
    finally:
        stop(paths, services)
        lock.close()
    return 0


def _watch(paths: StatePaths, services: list[Service]) -> None:
    users = FileLock(paths.file("users.lock"))
    due = time.monotonic() + CHECK_SECONDS
    while not _unused(paths, users):
        time.sleep(TICK_SECONDS)
        if time.monotonic() > due:
            _revive(services)
            due = time.monotonic() + CHECK_SECONDS


def _unused(paths: StatePaths, users: FileLock) -> bool:
    """True when the last share was given back; then we keep the exclusive lock and no new user comes in meanwhile."""
    if paths.file("pinned").exists():
        return False
    return users.try_take()


def _revive(services: list[Service]) -> None:
    for service in services:
        if service.running():
            continue
        _say(f"{service.name} is gone; starting it again")
        # A disk that is full today has space tomorrow: the next check tries again.
        with suppress(StudioError):
            service.start()


def _say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)
