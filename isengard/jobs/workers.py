"""A Celery worker's side of the bargain: its row in the database, its end when it is told to leave or has gone deaf.

One process (the main one) reports; its pool children do the work and die with it."""

import logging
import mmap
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from billiard.process import current_process
from celery.signals import (
    celeryd_after_setup,
    task_received,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from isengard.engine import capabilities, serve
from isengard.jobs import doorbell, watchdog
from isengard.jobs.host import ENGINE_COMMAND, EngineFailed, EngineHost
from isengard.jobs.models import Job, JobQuerySet, Worker

logger = logging.getLogger(__name__)

# A lane with waiting work that has heard no bell for this long no longer consumes (it happens after a broker reset).
# It leaves, and whoever started it starts it again.
DEAF_SECONDS = 90.0
# Celery's own shutdown can wait for ever on a message that a killed child had taken. A worker that was told to leave
# and runs nothing leaves by itself after this long.
LEAVE_SECONDS = 10.0
# A warm engine nobody used for so long gives its memory back.
IDLE_ENGINE_SECONDS = 600.0


@dataclass
class Here:
    """This worker. Filled before the pool is forked, so that its children know it too."""

    main: int = field(default_factory=os.getpid)
    name: str = field(default_factory=socket.gethostname)
    queue: str = ""
    heard: float = field(default_factory=time.monotonic)
    told_to_leave: float | None = None
    # One byte shared with the pool children.
    draining: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1))


here = Here()


def draining() -> bool:
    """True once the worker was told to leave: start nothing new, save what runs."""
    return here.draining[0] != 0


def owner() -> str:
    """Who claims: the worker and the slot of its pool, both the same after a restart."""
    return f"{here.name}/{getattr(current_process(), 'index', 0)}"


@cache
def host(queue: str) -> EngineHost:
    """The engine of a queue's worker, kept for as long as this process lives."""
    lock = Path(settings.STATE_DIR) / "locks" / f"{queue}.lock"
    return EngineHost(queue, lock, _visible(queue), command=getattr(settings, "ENGINE_COMMAND", ENGINE_COMMAND))


def keep_engine_ready(queue: str) -> None:
    """A GPU lane's next job finds an engine that has imported everything; one that sat idle gives its model back."""
    engine = host(queue)
    if engine.idle_seconds > IDLE_ENGINE_SECONDS:
        engine.close()
    if queue.startswith("gpu") and not draining():
        try:
            engine.warm()
        except EngineFailed as error:
            logger.warning("No engine is ready for %s; the next job will say why: %s", queue, error)


def _visible(queue: str) -> dict[str, str]:
    """gpu1 gets the second of the GPUs; a worker that was given one of its own keeps it."""
    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if not queue.startswith("gpu") or len(given) == 1:
        return {}
    index = int(queue.removeprefix("gpu"))
    return {"CUDA_VISIBLE_DEVICES": given[index] if index < len(given) else str(index)}


def _machine(queue: str) -> dict[str, Any]:
    """What the engine of this queue will find: a plan is made for it where no engine runs yet."""
    found = capabilities.probe()
    ram = {"ram_bytes": found.ram_bytes, "ram_free_bytes": found.ram_free_bytes}
    if found.device == "cpu" or not queue.startswith("gpu"):
        return {"device": "cpu", "name": "CPU", "vram_bytes": 0, "bf16": False, **ram}
    index = int(queue.removeprefix("gpu"))
    gpu = found.gpus[min(index, len(found.gpus) - 1)]
    bf16 = gpu.compute >= capabilities.BF16_COMPUTE
    return {"device": "cuda", "name": gpu.name, "vram_bytes": gpu.vram_bytes, "bf16": bf16, **ram}


@celeryd_after_setup.connect
def _on_setup(sender: str, instance: Any, **_: Any) -> None:
    here.name, here.queue = sender, min(instance.app.amqp.queues.consume_from)


@worker_ready.connect
def _on_ready(**_: Any) -> None:
    threading.Thread(target=_report_for_ever, name="worker-report", daemon=True).start()
    # Whatever was queued while no worker was there.
    doorbell.ring_queue(here.queue)


@worker_process_init.connect
def _on_child(**_: Any) -> None:
    """A pool child: dies with its worker, and takes back what its predecessor in this slot left running."""
    if os.getpid() == here.main:
        return
    serve.die_with(here.main)
    try:
        if watchdog.rescue(Job.objects.running().filter(owner=owner())):
            doorbell.ring_queue(here.queue)
    except DatabaseError as error:
        logger.warning("A lost job is left to the watchdog: %s", error)
    finally:
        connection.close()


@worker_process_shutdown.connect
def _on_child_end(**_: Any) -> None:
    host(here.queue).close()


@worker_shutting_down.connect
def _on_shutting_down(**_: Any) -> None:
    here.draining[0], here.told_to_leave = 1, time.monotonic()


@task_received.connect
def _on_received(**_: Any) -> None:
    here.heard = time.monotonic()


def _report_for_ever() -> None:
    reported = False
    while True:
        try:
            if not reported:
                # What a predecessor of this name left, its start included.
                Worker.objects.filter(name=here.name).delete()
            _report(_machine(here.queue))
            reported = True
            if _is_deaf():
                logger.critical("%s no longer hears its bell and leaves to be started again", here.name)
                os._exit(1)
            if _is_stuck_leaving():
                logger.warning("%s was told to leave, runs nothing and leaves", here.name)
                os._exit(0)
        except DatabaseError as error:
            logger.warning("%s could not report: %s", here.name, error)
            connection.close()
        time.sleep(settings.JOB_RENEW_SECONDS)


def _report(machine: dict[str, Any]) -> None:
    facts = {
        "lane": here.queue,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "device": machine["name"],
        "machine": machine,
        "draining": draining(),
        "job": _my_jobs().first(),
        "heartbeat_at": Now(),
    }
    Worker.objects.update_or_create(name=here.name, defaults=facts)


def _is_deaf() -> bool:
    if draining() or time.monotonic() - here.heard < DEAF_SECONDS:
        return False
    waiting = Job.objects.waiting().filter(
        lane=doorbell.lane_of(here.queue), created_at__lt=Now() - timedelta(seconds=DEAF_SECONDS)
    )
    return waiting.exists() and not _my_jobs().exists()


def _is_stuck_leaving() -> bool:
    told = here.told_to_leave
    return told is not None and time.monotonic() - told > LEAVE_SECONDS and not _my_jobs().exists()


def _my_jobs() -> JobQuerySet:
    return Job.objects.running().filter(owner__startswith=f"{here.name}/")
