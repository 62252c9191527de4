"""The engine as a process: commands come in on stdin, events go out on stdout (events.py says which).

Knows nothing of torch: what a job does is the `Work` it is given. It guards what the studio counts on: nothing but
events on stdout, a heartbeat while a step is long, death with the parent, and one engine per GPU (the lock)."""

import ctypes
import errno
import faulthandler
import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any

from isengard.engine.errors import EngineError
from isengard.engine.events import Asks, Event, Sink, Stop, is_wish
from isengard.engine.gauges import Gauges

# A job from its spec (plain JSON) to the fields of its `result`.
Work = Callable[[Event, Sink, Stop, Asks], Event]

HEARTBEAT = 2.0
LOCK_WAIT = 30.0
PROGRESS_INTERVAL = 0.1
PR_SET_PDEATHSIG = 1
DETAIL_LINES = 40

QUIET_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


class Writer:
    """One event a line on its own descriptor; safe to call from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._lock = descriptor, threading.Lock()

    @classmethod
    def take_stdout(cls) -> "Writer":
        """Keeps the real stdout for events and gives stderr's place to everything else, also to C libraries."""
        descriptor = os.dup(1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(descriptor)

    def __call__(self, type: str, /, **fields: Any) -> None:
        line = json.dumps({"type": type, **fields}, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except BrokenPipeError:
                # Nobody listens any more, so nobody would get the result: give the GPU back now.
                os._exit(1)


class JobSink:
    """A job's own sink: adds its id, the correlation id to log lines, and keeps progress to ten a second."""

    def __init__(self, writer: Writer, job: str, correlation_id: str) -> None:
        self._writer, self._job, self._correlation_id = writer, job, correlation_id
        self._next_progress = 0.0

    def __call__(self, type: str, /, **fields: Any) -> None:
        if type == "progress" and self._too_soon(fields):
            return
        if type == "log" and self._correlation_id:
            fields["correlation_id"] = self._correlation_id
        self._writer(type, job=self._job, **fields)

    def _too_soon(self, fields: Event) -> bool:
        """The first and the last step always pass, so that a bar starts and ends where it should."""
        now = time.monotonic()
        if now < self._next_progress and fields.get("step") not in {0, fields.get("total")}:
            return True
        self._next_progress = now + PROGRESS_INTERVAL
        return False


class Server:
    """Takes commands one after the other; `stop` and `quit` reach a job while it runs."""

    def __init__(self, work: Work, writer: Writer, facts: Event, warm_up: Callable[[], None] = lambda: None) -> None:
        self._work, self._writer, self._facts, self._warm_up = work, writer, facts, warm_up
        self._commands: SimpleQueue[Event | None] = SimpleQueue()
        self._stopped: set[str] = set()
        self._asked: set[tuple[str, str]] = set()
        self._quitting = threading.Event()
        self._job = ""

    def serve(self) -> None:
        """Until `quit`, the end of stdin or SIGTERM; the last two let the running job save and leave first."""
        self._begin()
        threading.Thread(target=self._read_commands, name="commands", daemon=True).start()
        self._writer("ready", pid=os.getpid(), **self._facts)
        while not self._quitting.is_set() and (command := self._commands.get()) is not None:
            if command["cmd"] == "warm":
                self._warm_up()
            else:
                self.run(command)

    def once(self, spec: Event) -> bool:
        """One job without stdin (the command line). False: it failed, and the `error` event said why."""
        self._begin()
        signal.signal(signal.SIGINT, self._on_signal)
        return self.run({"cmd": "run", "spec": spec})

    def run(self, command: Event) -> bool:
        spec = command["spec"]
        self._job = job = str(spec.get("job", ""))
        sink = JobSink(self._writer, job, command.get("correlation_id", ""))
        try:
            result = self._work(spec, sink, lambda: self._is_to_stop(job), lambda: self._asks_of(job))
        except EngineError as error:
            sink("error", **fields_of(error, last_lines(error)))
            return False
        finally:
            self._stopped.discard(job)
            self._asks_of(job)
        sink("result", **result)
        self._job = ""
        return True

    def _is_to_stop(self, job: str) -> bool:
        return self._quitting.is_set() or job in self._stopped

    def _asks_of(self, job: str) -> set[str]:
        """Taken once: the next call knows nothing of them."""
        taken = {(whose, what) for whose, what in tuple(self._asked) if whose == job}
        self._asked.difference_update(taken)
        return {what for _, what in taken}

    def _begin(self) -> None:
        sys.excepthook = self._on_crash
        signal.signal(signal.SIGTERM, self._on_signal)
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _beat(self) -> None:
        gauges = Gauges(self._facts.get("gpu_uuid", ""))
        while True:
            self._writer("heartbeat", **gauges())
            time.sleep(HEARTBEAT)

    def _read_commands(self) -> None:
        # Raw reads: a buffered stdin that a daemon thread waits on makes the interpreter abort at exit.
        rest = b""
        while chunk := os.read(0, 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(None, lines):
                try:
                    self._on_command(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    self._writer("error", job="", **fields_of(EngineError("bad_command", f"Not a command: {error!r}")))
        self._quit()

    def _on_command(self, command: Event) -> None:
        if command["cmd"] == "warm":
            self._commands.put(command)
        elif command["cmd"] == "run":
            self._stopped.discard(str(command["spec"].get("job", "")))
            self._asks_of(str(command["spec"].get("job", "")))
            self._commands.put(command)
        elif command["cmd"] == "stop":
            self._stopped.add(str(command["job"]))
        elif command["cmd"] == "ask" and is_wish(command["what"]):
            self._asked.add((str(command["job"]), command["what"]))
        elif command["cmd"] == "ask":
            raise ValueError(command["what"])
        elif command["cmd"] == "quit":
            self._quit()

    def _quit(self) -> None:
        self._quitting.set()
        self._commands.put(None)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._quit()

    def _on_crash(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """What nobody foresaw ends the process (its state cannot be trusted), but not silently."""
        self._writer("error", job=self._job, **fields_of(explain(error), last_lines(error)))
        sys.__excepthook__(kind, error, trace)


def fields_of(error: EngineError, detail: str = "") -> Event:
    return {"code": error.code, "message": error.message, "retryable": error.retryable, "detail": detail}


def last_lines(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)[-DETAIL_LINES:])


def first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(". ")


def is_out_of_memory(error: BaseException) -> bool:
    """Python's own, that of torch on a GPU (by name: this module imports no torch) and on a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def explain(error: BaseException) -> EngineError:
    """The error a user can act on behind an exception that escaped a job."""
    if is_out_of_memory(error):
        return EngineError(
            "out_of_memory",
            "There was not enough memory. Choose a smaller picture size, batch or rank, or close what else uses it.",
            retryable=True,
        )
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EngineError("disk_full", "The disk is full. Free some space, then try again.", retryable=True)
    if "CUDA error" in str(error):
        return EngineError("cuda_error", f"The GPU reported an error: {first_line(error)}. Try again.", retryable=True)
    return EngineError(
        "engine_crashed", f"The engine ran into an error it does not know: {type(error).__name__}: {error}"
    )


def die_with(parent: int) -> None:
    """The kernel kills us when the parent's thread that started us ends; without this a lost worker leaves a full GPU.

    Elsewhere than on Linux the end of stdin says it. SystemExit: the parent ended before we could ask."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(f"The process that started this engine ({parent}) is gone.")


def hold(lock: Path, wait: float = LOCK_WAIT) -> int:
    """The lock's descriptor, held until this process ends. EngineError gpu_busy: a predecessor did not leave in time.

    The engine itself holds it, not its supervisor: so it is free exactly when the GPU is."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                message = f"Another engine still holds this device after {wait:.0f} s. End it, then try again."
                raise EngineError("gpu_busy", message, retryable=True) from None
            time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def prepare() -> Writer:
    """Takes stdout for events, keeps libraries quiet and offline, and makes a native crash leave a trace on stderr."""
    writer = Writer.take_stdout()
    faulthandler.enable()
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET_ENVIRONMENT.items()})
    return writer


def main(
    work: Work,
    facts: Callable[[], Event],
    warm_up: Callable[[], None] = lambda: None,
    *,
    lock: Path | None,
    parent: int | None,
    wait: float = LOCK_WAIT,
) -> int:
    """`serve` from start to end; returns only when it could not begin. `facts` gives `ready` its device and torch."""
    if parent is not None:
        die_with(parent)
    if os.getpgrp() != os.getpid():
        os.setsid()
    writer = prepare()
    if lock is not None:
        try:
            hold(lock, wait)
        except EngineError as error:
            writer("error", job="", **fields_of(error))
            return 1
    Server(work, writer, facts(), warm_up).serve()
    # Python would take torch apart module by module (seconds), and the next engine waits for our lock meanwhile.
    sys.stderr.flush()
    os._exit(0)
