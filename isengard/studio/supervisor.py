"""Starts the children, prints their lines, restarts what crashes and stops everything in order. Imports no Django.

One thread, one loop: "die with your parent" is tied to the thread that forked, and forking beside threads is unsafe.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from isengard.studio.children import ChildSpec
from isengard.studio.errors import StudioError
from isengard.studio.process import die_with_parent, until

ROOT = Path(__file__).resolve().parents[2]
BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# A child that lived this long starts again with the shortest pause.
SETTLED_SECONDS = 60.0
COLOURS = (36, 35, 33, 32, 34, 31)


@dataclass
class Child:
    """One child's spec and its present process; `crashes` counts the quick deaths in a row."""

    spec: ChildSpec
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0
    due: float | None = None
    code: int | None = None
    rest: bytes = b""


@dataclass
class Supervisor:
    """Runs children until a signal comes. They inherit `share`, so the services outlive a killed parent."""

    environment: dict[str, str]
    share: int | None = None
    children: list[Child] = field(default_factory=list)
    signals: int = 0
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def start(self, *specs: ChildSpec) -> None:
        for spec in specs:
            child = Child(spec)
            self.children.append(child)
            self._spawn(child)

    def running(self, name: str) -> bool:
        return any(child.spec.name == name and child.process for child in self.children)

    def succeeded(self, name: str) -> bool:
        """Whether a child that is expected to end has ended well."""
        return any(child.spec.name == name and child.code == 0 for child in self.children)

    def crashes(self, name: str) -> int:
        return sum(child.crashes for child in self.children if child.spec.name == name)

    def tick(self, seconds: float = 0.1) -> None:
        """Print what was said, note who ended, start again who is due."""
        self._read(seconds)
        for child in self.children:
            if child.process and child.process.poll() is not None:
                self._ended(child)
            if child.due is not None and time.monotonic() >= child.due and not self.signals:
                self._spawn(child)

    def on_signal(self, signum: int, frame: object) -> None:
        """First signal: leave the loop and stop in order. Second: kill."""
        self.signals += 1
        if self.signals > 1:
            for child in self.children:
                self._signal(child, signal.SIGKILL)

    def stop(self) -> None:
        """Web, then beat, then the workers, which get time to save; what does not go is killed."""
        for stage in sorted({child.spec.stage for child in self.children}):
            group = [child for child in self.children if child.spec.stage == stage and child.process]
            for child in group:
                self._signal(child, signal.SIGTERM)
            deadline = time.monotonic() + max((child.spec.grace for child in group), default=0.0)
            while any(child.process and child.process.poll() is None for child in group):
                self._read(0.05)
                if time.monotonic() > deadline or self.signals > 1:
                    self._kill(group)
        self._read(0)

    def say(self, text: str, name: str = "studio") -> None:
        """One line with the name of who says it; colour only for people at a terminal."""
        label = f"{name:<7}|"
        if sys.stdout.isatty():
            label = f"\x1b[{COLOURS[sum(name.encode()) % len(COLOURS)]}m{label}\x1b[0m"
        with suppress(OSError):  # nobody reads any more; that is no reason to stop a training
            print(f"{label} {text}", flush=True)

    def _spawn(self, child: Child) -> None:
        child.due, child.started = None, time.monotonic()
        reader, writer = os.pipe()
        child.process = subprocess.Popen(
            child.spec.command,
            cwd=ROOT,
            env={**self.environment, **child.spec.environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and a group can be killed as one
            pass_fds=(self.share,) if self.share is not None else (),
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        os.close(writer)
        self.selector.register(reader, selectors.EVENT_READ, child)

    def _read(self, seconds: float) -> None:
        for key, _ in self.selector.select(seconds):
            data = os.read(key.fd, 65536)
            self._print(key.data, data)
            if not data:
                self.selector.unregister(key.fd)
                os.close(key.fd)

    def _print(self, child: Child, data: bytes) -> None:
        lines = (child.rest + data).split(b"\n")
        child.rest = lines.pop() if data else b""
        for line in lines:
            if line.strip():
                self.say(line.decode(errors="replace").rstrip(), child.spec.name)

    def _ended(self, child: Child) -> None:
        assert child.process
        code = child.code = child.process.returncode
        child.process = None
        if child.spec.once:
            if code:
                self.say(f"{child.spec.name} ended with code {code}; run `manage.py {child.spec.name}` to try it again")
            return
        if self.signals:
            return
        child.crashes = 0 if time.monotonic() - child.started > SETTLED_SECONDS else child.crashes
        pause = BACKOFF_SECONDS[min(child.crashes, len(BACKOFF_SECONDS) - 1)]
        child.crashes += 1
        child.due = time.monotonic() + pause
        self.say(f"{child.spec.name} ended {_reason(code)}; starting it again in {pause:.0f} s")

    def _kill(self, group: list[Child]) -> None:
        for child in group:
            self._signal(child, signal.SIGKILL)
        until(lambda: all(child.process is None or child.process.poll() is not None for child in group), 5)

    def _signal(self, child: Child, signum: int) -> None:
        """To the child alone to ask, so that a worker can tell its own pool; to the whole group to kill."""
        if child.process and child.process.poll() is None:
            with suppress(ProcessLookupError):
                if signum == signal.SIGKILL:
                    os.killpg(child.process.pid, signum)
                else:
                    child.process.send_signal(signum)


def wait_ready(supervisor: Supervisor, answers: Callable[[], bool], seconds: float) -> bool:
    """Run the loop until the page answers. False when a signal came first; StudioError when it never answers."""
    deadline = time.monotonic() + seconds
    while not answers():
        supervisor.tick(0.05)
        if supervisor.signals:
            return False
        if supervisor.crashes("web") >= 4 or time.monotonic() > deadline:
            raise StudioError("The web server does not start; the lines above say why. See also `manage.py doctor`.")
    return True


def _reason(code: int) -> str:
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
