"""The service's own log file, `<LOG_DIR>/<service>/latest/<service>.log`: one session per start, older ones archived.

Several processes of one service share the file: each holds a shared lock for as long as it lives, and only one that is
alone (the first to start) may move the last session away. Knows nothing of Django."""

import fcntl
import io
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

KEPT_SESSIONS = 20


class SessionFile(logging.FileHandler):
    """Appends to the session's file; opens (and rotates) it with the first record: a quiet command leaves none."""

    def __init__(self, log_dir: Path, service: str) -> None:
        self.folder = log_dir / service
        self.archived: Path | None = None
        self._lock: io.TextIOWrapper | None = None
        super().__init__(self.folder / "latest" / f"{service}.log", encoding="utf-8", delay=True)

    def begin(self) -> None:
        """Opens the file now instead of with the first record."""
        if self.stream is None:
            self.stream = self._open()

    def _open(self) -> io.TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = (self.folder / ".lock").open("w")
            self._claim(path)
        return super()._open()

    def close(self) -> None:
        super().close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _claim(self, path: Path) -> None:
        assert self._lock is not None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            self.archived = archive(path)
        fcntl.flock(self._lock, fcntl.LOCK_SH)


def archive(path: Path) -> Path | None:
    """Moves a finished session to `archive/<YYYYMMDD_HHMMSS>/` and keeps the newest; None when it was empty."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    sessions = path.parent.parent / "archive"
    sessions.mkdir(exist_ok=True)
    name = base = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    number = 1
    while (sessions / name).exists():
        number += 1
        name = f"{base}_{number}"
    path.parent.rename(sessions / name)
    path.parent.mkdir()
    for old in sorted(sessions.iterdir())[:-KEPT_SESSIONS]:
        shutil.rmtree(old, ignore_errors=True)
    return sessions / name
