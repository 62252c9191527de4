"""One engine process seen from a worker: starts it, hands it jobs, relays what it says, and never leaves it behind.

Knows the engine's protocol (isengard/engine/events.py) and nothing of Django, jobs' rows or products. Used by one
thread, which must outlive the engine: the kernel ends the engine together with the thread that started it."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from isengard.jobs.engine_process import EngineProcess, Event, Gone, environment

ENGINE_COMMAND = (sys.executable, "-m", "isengard.engine")

POLL = 0.2
STOP_POLL = 0.5
TERMINATE_GRACE = 10.0
QUIT_GRACE = 5.0


class EngineFailed(Exception):
    """The job did not end well. `tail` is the last thing the engine said; `message` says what to do next."""

    def __init__(self, code: str, message: str, *, retryable: bool = False, tail: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.retryable, self.tail = code, message, retryable, tail


@dataclass(frozen=True)
class Limits:
    """Seconds. `start` covers the wait for a predecessor's lock; `silence` is without even a heartbeat; `stall` is with
    heartbeats but nothing else (a step on a large model on a CPU is minutes, loading one from a slow disk ten)."""

    start: float = 90.0
    silence: float = 60.0
    stall: float = 1800.0
    terminate: float = TERMINATE_GRACE


class _Stopping:
    """The way from asking to forcing: `stop`, after the grace SIGTERM, after another SIGKILL."""

    def __init__(
        self, engine: EngineProcess, job: str, should_stop: Callable[[], bool], grace: float, terminate: float
    ) -> None:
        self._engine, self._job, self._should_stop = engine, job, should_stop
        self._steps = [(grace, signal.SIGTERM), (grace + terminate, signal.SIGKILL)]
        self._next_poll = 0.0
        self.asked_at: float | None = None

    def tick(self) -> None:
        now = time.monotonic()
        if self.asked_at is None:
            if now >= self._next_poll:
                self._next_poll = now + STOP_POLL
                self._ask(now)
            return
        while self._steps and now - self.asked_at >= self._steps[0][0]:
            self._engine.signal(self._steps.pop(0)[1])

    def _ask(self, now: float) -> None:
        if self._should_stop():
            self.asked_at = now
            self._engine.send({"cmd": "stop", "job": self._job})


class EngineHost:
    """The engine of one lane: started when needed, kept warm between jobs, dropped after any failure."""

    def __init__(
        self,
        lane: str,
        lock_path: Path,
        env: Mapping[str, str] | None = None,
        *,
        command: Sequence[str] = ENGINE_COMMAND,
        limits: Limits = Limits(),
    ) -> None:
        """`env` is added to what the engine may see of ours (CUDA_VISIBLE_DEVICES of the lane)."""
        self.lane, self._lock_path, self._env = lane, lock_path, dict(env or {})
        self._command, self._limits = tuple(command), limits
        self._engine: EngineProcess | None = None
        self._idle_since = time.monotonic()
        # The fields of the running engine's `ready`: pid, device, torch.
        self.facts: Event = {}

    @property
    def pid(self) -> int | None:
        """Of the engine, while there is one."""
        return self._engine.process.pid if self._engine else None

    @property
    def idle_seconds(self) -> float:
        """How long an engine that has worked has waited for its next job; 0 when there is none that has."""
        return time.monotonic() - self._idle_since if self._engine and self._engine.jobs else 0.0

    def run(
        self,
        spec: Event,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool] = lambda: False,
        stop_grace: float = TERMINATE_GRACE,
        fresh: bool = False,
        *,
        asks: Callable[[], Iterable[str]] = tuple,
        correlation_id: str = "",
    ) -> Event:
        """One job; returns its `result` event (`stopped: true` after a stop, and `killed: true` if that took a signal).

        `on_event` gets every other event, heartbeats too; what it raises ends the engine at once. `should_stop` is
        asked about twice a second, `asks` oftener: what it names (save, sample) is passed on to the engine, once.
        EngineFailed: it failed, crashed, hung or could not start."""
        engine = self._ready(fresh)
        stopping = _Stopping(engine, spec["job"], should_stop, stop_grace, self._limits.terminate)
        engine.worked, engine.jobs = time.monotonic(), engine.jobs + 1
        engine.send({"cmd": "run", "spec": spec, "correlation_id": correlation_id})
        with ExitStack() as stack:
            stack.callback(self._drop)
            result = self._relay(engine, spec["job"], on_event, stopping, asks)
            if not engine.leaving:
                stack.pop_all()
        self._idle_since = time.monotonic()
        return result

    def warm(self) -> None:
        """Has an engine ready that has imported everything, so that the next job does not wait for that (seconds).

        It has loaded no model, so it is also what a job that wants a fresh engine gets. EngineFailed: no start."""
        if self._engine is None or not self._engine.is_idle():
            self._ready(fresh=True).send({"cmd": "warm"})
            self._idle_since = time.monotonic()

    def close(self) -> None:
        """Lets an idle engine go; one that does not leave is killed."""
        if self._engine is not None:
            self._engine.send({"cmd": "quit"})
            self._engine.wait(QUIT_GRACE)
            self._drop()

    def _drop(self) -> None:
        if self._engine is not None:
            self._engine.kill()
            self._engine, self.facts = None, {}

    def _ready(self, fresh: bool) -> EngineProcess:
        used = self._engine is not None and self._engine.jobs > 0
        if self._engine is not None and ((fresh and used) or not self._engine.is_idle()):
            self.close()
        if self._engine is None:
            self._engine = self._start()
        return self._engine

    def _start(self) -> EngineProcess:
        options = ["serve", "--lock", str(self._lock_path), "--parent", str(os.getpid())]
        self._engine = engine = EngineProcess.start([*self._command, *options], environment(self._env))
        with ExitStack() as stack:
            stack.callback(self._drop)
            self.facts = self._first_words(engine)
            stack.pop_all()
        return engine

    def _first_words(self, engine: EngineProcess) -> Event:
        end = time.monotonic() + self._limits.start
        while time.monotonic() < end:
            try:
                event = engine.next(POLL)
            except Gone:
                raise self._death(engine) from None
            if event and event["type"] == "ready":
                return event
            if event and event["type"] == "error":
                raise _failure(event, engine)
        message = f"The engine did not start within {self._limits.start:.0f} s. The log below is the last it said."
        raise EngineFailed("engine_start_timeout", message, retryable=True, tail=engine.last_words())

    def _relay(
        self,
        engine: EngineProcess,
        job: str,
        on_event: Callable[[Event], None],
        stopping: _Stopping,
        asks: Callable[[], Iterable[str]],
    ) -> Event:
        while True:
            stopping.tick()
            for what in asks():
                engine.send({"cmd": "ask", "job": job, "what": what})
            try:
                event = engine.next(POLL)
            except Gone:
                if stopping.asked_at is not None:
                    return {"type": "result", "job": job, "stopped": True, "killed": True}
                raise self._death(engine) from None
            self._check_pulse(engine)
            if event is None:
                continue
            if event["type"] == "result":
                return event
            if event["type"] == "error":
                raise _failure(event, engine)
            on_event(event)

    def _check_pulse(self, engine: EngineProcess) -> None:
        now = time.monotonic()
        if now - engine.heard > self._limits.silence:
            message = f"The engine gave no sign of life for {self._limits.silence:.0f} s and was ended."
            raise EngineFailed("engine_hung", message, retryable=True, tail=engine.last_words())
        if now - engine.worked > self._limits.stall:
            message = f"The engine made no progress for {self._limits.stall / 60:.0f} minutes and was ended."
            raise EngineFailed("engine_stalled", message, retryable=True, tail=engine.last_words())

    def _death(self, engine: EngineProcess) -> EngineFailed:
        status = engine.wait(QUIT_GRACE)
        if status is not None and status < 0:
            return EngineFailed(
                "engine_killed", _why_killed(-status, engine.peak_rss), retryable=True, tail=engine.last_words()
            )
        message = f"The engine ended without saying why (exit status {status}). The log below is the last it said."
        return EngineFailed("engine_crashed", message, tail=engine.last_words())


def _failure(event: Event, engine: EngineProcess) -> EngineFailed:
    return EngineFailed(
        str(event.get("code", "engine_crashed")),
        str(event.get("message", "The engine failed without a reason.")),
        retryable=bool(event.get("retryable")),
        tail=str(event.get("detail") or "") or engine.last_words(),
    )


def _why_killed(number: int, peak_rss: int) -> str:
    used = f" It had used up to {peak_rss / 1e9:.1f} GB of memory." if peak_rss > 1e8 else ""
    if number == signal.SIGKILL:
        return f"The engine was killed by signal 9 (often: the machine ran out of memory).{used} Trying again may help."
    return f"The engine was ended by signal {number} ({signal.Signals(number).name}).{used} Trying again may help."
