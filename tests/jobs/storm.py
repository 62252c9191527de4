"""The kill storm: real workers and engines, jobs, cancels and SIGKILLs at random, and a checker over what was left.

The workers are started with the launcher's own command line, and again when they are gone, as the launcher does."""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
from django.conf import settings
from django.db import connection

from isengard.errors import Conflict
from isengard.jobs import services, watchdog
from isengard.jobs.models import TERMINAL, Job, JobEvent
from isengard.studio import children
from isengard.studio.process import die_with_parent, is_locked
from tests.jobs import scripted

# A worker takes two seconds of processor time to come back, so it is killed half as often as the others.
VICTIMS = ("worker", "child", "child", "engine", "engine")
SCRIPT = {"steps": 4, "delay": 0.06, "checkpoints": 2, "resume": True}


@dataclass
class Outcome:
    """What the checker found. Every figure below `kills` must be zero."""

    states: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    taken_up_again: int = 0
    seconds: float = 0.0
    lost: int = 0
    doubled: int = 0
    stray_artifacts: int = 0
    broken_promises: int = 0
    gaps: int = 0
    engines_left: int = 0
    locks_left: int = 0


class Lane:
    """One worker of the storm."""

    def __init__(self, name: str, log: IO[bytes]) -> None:
        self.name, self._log = name, log
        self.start()

    def start(self) -> None:
        spec = children.worker(self.name)
        env = {**os.environ, **spec.environment, "DJANGO_SETTINGS_MODULE": "tests.jobs.storm_settings"}
        self.process = subprocess.Popen(
            spec.command, env=env, stdout=self._log, stderr=self._log, preexec_fn=die_with_parent(signal.SIGKILL)
        )

    def keep(self) -> None:
        if self.process.poll() is not None:
            self.start()

    def find(self, victim: str) -> psutil.Process | None:
        """The process to kill, if there is one just now."""
        try:
            worker = psutil.Process(self.process.pid)
            pool = worker.children()
            engines = [engine for child in pool for engine in child.children() if is_engine(engine)]
        except psutil.NoSuchProcess:
            return None
        found = {"worker": [worker] if engines else [], "child": pool, "engine": engines}[victim]
        return found[0] if found else None

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            # Celery writes the stacks of all its threads: the log then says where it hangs.
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            self.process.kill()
            self.process.wait()


def is_engine(process: psutil.Process) -> bool:
    try:
        return "tests.scripted_engine" in process.cmdline() and str(settings.STATE_DIR) in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


class Storm:
    def __init__(self, jobs: int, kills: int, log: Path, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._jobs = [scripted.submit(**SCRIPT) for _ in range(jobs)]
        self._kills = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
        self._random.shuffle(self._kills)
        self._promised: set[str] = set()
        self._over = threading.Event()
        self._log = log.open("wb")
        self.outcome = Outcome()

    def run(self, limit: float) -> Outcome:
        began = time.monotonic()
        lanes = [Lane(name, self._log) for name in settings.GPU_LANES]
        helpers = [threading.Thread(target=act) for act in (self._watch, self._cancel)]
        for helper in helpers:
            helper.start()
        try:
            self._rage(lanes, began + limit)
        finally:
            self._over.set()
            for helper in helpers:
                helper.join()
            for lane in lanes:
                lane.stop()
        self.outcome.seconds = time.monotonic() - began
        self._check()
        return self.outcome

    def _rage(self, lanes: list[Lane], end: float) -> None:
        """Kills until the list is empty, then waits for the last job."""
        while time.monotonic() < end and (self._kills or Job.objects.active().exists()):
            for lane in lanes:
                lane.keep()
            if self._kills and self._kill(self._random.choice(lanes), self._kills[-1]):
                self.outcome.kills[self._kills.pop()] += 1
            time.sleep(self._random.uniform(0.05, 0.5))

    def _kill(self, lane: Lane, victim: str) -> bool:
        process = lane.find(victim)
        if process is None:
            return False
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def _watch(self) -> None:
        """Beat, only quicker."""
        while not self._over.wait(1.0):
            watchdog.tick()
        connection.close()

    def _cancel(self) -> None:
        """Asks for one job in ten to be cancelled, at random moments, some after their end."""
        for job in self._random.sample(self._jobs, len(self._jobs) // 10):
            if self._over.wait(self._random.uniform(0.2, 2.0)):
                break
            try:
                services.request_cancel(job=job)
                self._promised.add(job.public_id)
            except Conflict:
                continue
        connection.close()

    def _check(self) -> None:
        states = dict(Job.objects.values_list("public_id", "state"))
        made = Counter(scripted.artifacts())
        completed = {job for job, state in states.items() if state == Job.State.COMPLETED}
        seqs = Job.objects.values_list("pk", "last_seq")
        found, self.outcome.states = self.outcome, Counter(states.values())
        found.taken_up_again = JobEvent.objects.filter(kind="state", payload__has_key="reason").count()
        found.lost = sum(state not in TERMINAL for state in states.values()) + len(completed - set(made))
        found.doubled = sum(count - 1 for count in made.values())
        found.stray_artifacts = len(set(made) - completed)
        found.broken_promises = sum(states[job] != Job.State.CANCELLED for job in self._promised)
        found.gaps = sum(JobEvent.objects.filter(job=pk, seq__lte=last).count() != last for pk, last in seqs)
        found.engines_left = sum(is_engine(process) for process in psutil.process_iter())
        locks = [Path(settings.STATE_DIR) / "locks" / f"{lane}.lock" for lane in settings.GPU_LANES]
        found.locks_left = sum(is_locked(lock) for lock in locks)
