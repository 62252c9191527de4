"""A running engine process: its pipes, its last words, when it was last heard. Policy (when to end it) is host.py's.

Knows nothing of Django; the protocol's lines are described in isengard/engine/events.py."""

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

import psutil

Event = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]

# What the engine may see of our environment: no database, no broker, no key, no token.
NAMES = {"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH"}
PREFIXES = ("LC_", "OMP_", "MKL_", "CUDA_", "NVIDIA_", "TORCH", "PYTORCH_", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")
TAIL_LINES = 60
LAST_WORDS = 1.0


class Gone(Exception):
    """The engine closed its stdout."""


@dataclass
class EngineProcess:
    """The process with its pipes read by two threads, so that it never blocks on a full pipe whatever we do."""

    process: "subprocess.Popen[bytes]"
    events: "SimpleQueue[Event | None]" = field(default_factory=SimpleQueue)
    _tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    heard: float = field(default_factory=time.monotonic)
    worked: float = field(default_factory=time.monotonic)
    peak_rss: int = 0
    jobs: int = 0
    # Told to leave by a signal: it must not get another job, even while it is still alive.
    leaving: bool = False

    @classmethod
    def start(cls, command: Sequence[str], env: Mapping[str, str]) -> "EngineProcess":
        pipe = subprocess.PIPE
        return cls(
            subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=ROOT, start_new_session=True)
        )

    def __post_init__(self) -> None:
        Thread(target=self._read_events, name="engine-events", daemon=True).start()
        self._words = Thread(target=self._read_words, name="engine-words", daemon=True)
        self._words.start()

    def _read_events(self) -> None:
        for line in _lines(self.process.stdout):
            event = _parse(line)
            if event is None:
                self._tail.append(line)
                continue
            self.heard = time.monotonic()
            if event["type"] == "heartbeat":
                self.peak_rss = max(self.peak_rss, int(event.get("rss_bytes", 0)))
            else:
                self.worked = self.heard
            self.events.put(event)
        self.events.put(None)

    def _read_words(self) -> None:
        for line in _lines(self.process.stderr):
            self._tail.append(line)

    def next(self, timeout: float) -> Event | None:
        """The next event, None when there was none in time. Gone: there will be no more."""
        try:
            event = self.events.get(timeout=timeout)
        except Empty:
            return None
        if event is None:
            raise Gone
        return event

    def is_idle(self) -> bool:
        """Alive and able to take a job; forgets what it said since the last one."""
        while not self.events.empty():
            if self.events.get() is None:
                return False
        return self.process.poll() is None and not self._is_dying() and not self.leaving

    def _is_dying(self) -> bool:
        """A killed process cannot be reaped before the last of its threads is gone; until then it is a zombie."""
        try:
            return psutil.Process(self.process.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def send(self, command: Event) -> None:
        assert self.process.stdin is not None
        # A broken pipe means it is gone, which the end of its stdout will say better.
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()

    def signal(self, number: int) -> None:
        """To the whole group, so that nothing the engine started is left."""
        self.leaving = True
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def wait(self, timeout: float) -> int | None:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        """The end of what it said that was not an event; waits for what a dying process left in the pipe."""
        if self.process.poll() is not None:
            self._words.join(LAST_WORDS)
        return "\n".join(self._tail.copy())

    def kill(self) -> int:
        """Ends it now and waits until the kernel has taken everything back. Returns the exit status."""
        self.signal(signal.SIGKILL)
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return status


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What the engine sees: the few names it needs of ours, and `extra`."""
    ours = {name: value for name, value in os.environ.items() if name in NAMES or name.startswith(PREFIXES)}
    return {**ours, **extra, "PYTHONUNBUFFERED": "1"}


def _lines(pipe: IO[bytes] | None) -> Iterator[str]:
    assert pipe is not None
    for line in pipe:
        yield line.decode(errors="replace").rstrip()


def _parse(line: str) -> Event | None:
    """An event, or None for a line that is not one (a library that got at stdout). NaN and inf become None."""
    try:
        event = json.loads(line, parse_constant=lambda _: None)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None
