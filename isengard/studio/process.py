"""Small facts about processes and locks that outlive a kill -9. Knows nothing of Postgres, Redis or Django."""

import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
HAS_PROC = Path("/proc/self").exists()
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signum: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `signum` to the child when the thread that forked it ends, even by SIGKILL."""
    parent = os.getpid()

    def arm() -> None:
        if sys.platform == "linux":
            _libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
            if os.getppid() != parent:  # the parent died between fork and prctl
                os._exit(1)

    return arm


def alive(pid: int) -> bool:
    """True while the process runs; a zombie counts as dead."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return not HAS_PROC


def works_in(pid: int, folder: Path) -> bool:
    """Whether the process has `folder` as its working directory, which tells our server from a reused process id."""
    with suppress(OSError):
        return not HAS_PROC or Path(f"/proc/{pid}/cwd").readlink() == folder
    return False


def working_in(folder: Path) -> list[int]:
    """Process ids at work in `folder`: for a Postgres data directory, its server and its backends."""
    ids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [pid for pid in ids if works_in(pid, folder)]


def until(condition: Callable[[], bool], seconds: float, step: float = 0.02) -> bool:
    """Poll `condition` until it holds or `seconds` are over; returns whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


class FileLock:
    """A `flock` on a file. The kernel frees it when its holder dies, so nothing stale is ever left behind."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_take(self, mode: int = fcntl.LOCK_EX) -> bool:
        """Take or convert the lock without waiting. A failed conversion drops what was held before."""
        try:
            fcntl.flock(self.fd, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(self, mode: int = fcntl.LOCK_EX, seconds: float = 60) -> bool:
        return until(lambda: self.try_take(mode), seconds)

    def close(self) -> None:
        os.close(self.fd)


def is_locked(path: Path) -> bool:
    """Whether some process holds the exclusive lock. Asks for a share, so that two askers never mistake each other."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        return not lock.try_take(fcntl.LOCK_SH)
    finally:
        lock.close()
