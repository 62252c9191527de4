"""What the studio is made of: the command of every child process. Starts nothing and imports no Django."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

# The engine saves a checkpoint when its worker is told to stop; Celery waits 60 s for it, we a little longer.
WORKER_GRACE_SECONDS = 75.0
# Django's checks import every page, which a worker never shows; `manage.py doctor` and `make check` run them.
# Celery warns root about pickled messages at every start; ours are JSON only.
CELERY = {"CELERY_SKIP_CHECKS": "true", "PYTHONWARNINGS": "ignore::RuntimeWarning:celery.platforms"}


@dataclass(frozen=True)
class ChildSpec:
    """One child: `stage` orders the stop (lowest first), `once` means it is expected to end, `grace` is in seconds."""

    name: str
    command: list[str]
    stage: int
    grace: float = 10.0
    once: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def web(host: str, port: int) -> ChildSpec:
    # A page sends a few hundred bytes over its socket; Daphne's own limit is a megabyte.
    limits = ["--websocket-max-message-size", "16384", "--no-server-name", "-v", "0"]
    command = [
        sys.executable,
        "-m",
        "isengard.server",
        "-b",
        host,
        "-p",
        str(port),
        *limits,
        "isengard.asgi:application",
    ]
    return ChildSpec("web", command, stage=0, environment={"ISENGARD_SERVICE": "web"})


def beat(schedule: Path) -> ChildSpec:
    command = _celery("beat", "--schedule", str(schedule), "--pidfile", "")
    return ChildSpec("beat", command, stage=1, environment={"ISENGARD_SERVICE": "beat", **CELERY})


def worker(lane: str, concurrency: int = 1, environment: dict[str, str] | None = None) -> ChildSpec:
    """A Celery worker for one lane. Mingle and gossip only cost time: workers agree through the database."""
    options = ["-P", "prefork", "-c", str(concurrency), "-Q", lane, "-n", f"{lane}@%h"]
    command = _celery("worker", *options, "--without-mingle", "--without-gossip")
    # A plain SIGTERM: the worker's own drain (jobs/workers.py) asks an hours-long training to save and puts it back in
    # the queue. As SIGQUIT, Celery 5.7 would sleep out its whole soft shutdown before telling anybody.
    own = {"ISENGARD_SERVICE": "worker", **CELERY, **(environment or {})}
    return ChildSpec(lane, command, stage=2, grace=WORKER_GRACE_SECONDS, environment=own)


def workers(cores: int, gpus: list[str]) -> list[ChildSpec]:
    """One lane per GPU (gpu0 on the CPU when there is none) and a cpu lane: one process on a small machine."""
    lanes = [worker(f"gpu{index}", environment={"CUDA_VISIBLE_DEVICES": gpu}) for index, gpu in enumerate(gpus)]
    return [*(lanes or [worker("gpu0")]), worker("cpu", 1 if cores <= 2 else min(4, cores // 2))]


def sample() -> ChildSpec:
    return ChildSpec("sample", [sys.executable, "manage.py", "sample"], stage=0, once=True)


def named(name: str, host: str, port: int, schedule: Path) -> ChildSpec:
    """The child a container runs: web, beat, cpu, or a GPU lane such as gpu0."""
    if name == "web":
        return web(host, port)
    return beat(schedule) if name == "beat" else worker(name)


def _celery(*arguments: str) -> list[str]:
    # Without --quiet the banner of every worker hides the one line that matters.
    return [sys.executable, "-m", "celery", "-A", "isengard.celery", "--quiet", *arguments, "--loglevel", "WARNING"]
