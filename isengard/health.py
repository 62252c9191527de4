"""What the studio depends on, asked one by one: used by /ready and /info. Never fails, never imports torch.

Every answer is `{"status": ..., ...}`; only what keeps the user from working makes the whole "degraded"."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from redis.exceptions import RedisError

from isengard import storage
from isengard.engine import capabilities, catalog, offers
from isengard.engine.errors import EngineError
from isengard.jobs.models import Worker
from training.bases import default_key

Answer = dict[str, Any]
# Three missed reports: a worker that only took a long breath is not called lost.
WORKER_SILENCE = timedelta(seconds=30)
REDIS_TIMEOUT = 2.0
REQUIRED = ("database", "redis", "workers", "storage")


def readiness() -> Answer:
    """`{"status": "ready"|"degraded", "mode", "dependencies"}`; degraded while something in REQUIRED is not ok."""
    dependencies = {name: check() for name, check in CHECKS.items()}
    broken = [name for name in REQUIRED if dependencies[name]["status"] != "ok"]
    return {
        "status": "degraded" if broken else "ready",
        "mode": settings.ISENGARD_MODE,
        "dependencies": dependencies,
    }


def database() -> Answer:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return {"status": "unreachable", "hint": "Start Postgres, or correct DATABASE_URL."}
    return {"status": "ok"}


def broker() -> Answer:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )
    try:
        client.ping()
    except RedisError:
        return {"status": "unreachable", "hint": "Start Redis, or correct REDIS_URL."}
    finally:
        client.close()
    return {"status": "ok"}


def workers() -> Answer:
    """ok when a live worker serves every lane that has jobs (gpu) or chores (cpu)."""
    try:
        alive = list(Worker.objects.filter(heartbeat_at__gt=Now() - WORKER_SILENCE).select_related("job"))
    except DatabaseError:
        return {"status": "unknown", "alive": []}
    missing = sorted({*settings.GPU_LANES, "cpu"} - {worker.lane for worker in alive})
    listed = [_worker(worker) for worker in alive]
    if missing:
        hint = f"No worker serves {', '.join(missing)}. Start the studio's workers; jobs wait until then."
        return {"status": "missing", "alive": listed, "hint": hint}
    return {"status": "ok", "alive": listed}


def _worker(worker: Worker) -> Answer:
    state = "draining" if worker.draining else "busy" if worker.job else "idle"
    job = worker.job.public_id if worker.job else None
    return {"name": worker.name, "lane": worker.lane, "device": worker.device, "state": state, "job": job}


def volume() -> Answer:
    """No path: where the volume lies on the server is nobody's business."""
    try:
        free = storage.free_bytes()
    except OSError:
        return {"status": "missing", "hint": "VOLUME_ROOT cannot be used; see docs/configuration.md."}
    status = "ok" if free >= settings.FREE_SPACE_FLOOR else "full"
    return {"status": status, "free_bytes": free}


def models() -> Answer:
    bases = {key: _base(key) for key in catalog.BASES}
    return {"status": "ok" if any(base["status"] == "ok" for base in bases.values()) else "missing", "bases": bases}


def _base(key: str) -> Answer:
    try:
        catalog.locate(key, settings.MODELS_DIR)
    except EngineError as error:
        return _without_paths({"status": "missing", "reason": error.message})
    return {"status": "ok"}


def gpu() -> Answer:
    machine = capabilities.probe()
    names = [found.name for found in machine.gpus]
    facts = {"device": machine.device, "name": machine.name, "gpus": names, "vram_bytes": machine.vram_bytes}
    return {"status": "ok" if machine.device == "cuda" else "absent", **facts, "note": machine.note}


CHECKS: dict[str, Callable[[], Answer]] = {
    "database": database,
    "redis": broker,
    "workers": workers,
    "storage": volume,
    "models": models,
    "gpu": gpu,
}


def info() -> Answer:
    """What this installation can do: every parameter is one that the engine reads (`wired`), with type and bounds."""
    base = default_key()
    return {
        "name": "Isengard API",
        "version": settings.VERSION,
        "mode": settings.ISENGARD_MODE,
        "training": offers.training(base, settings.MODELS_DIR),
        "image_generation": _without_paths(offers.image(base, settings.MODELS_DIR)),
        "base_models": [_without_paths(offer) for offer in offers.bases(settings.MODELS_DIR)],
        "features": {name: _without_paths(facts) for name, facts in offers.features(settings.MODELS_DIR).items()},
    }


def _without_paths(facts: Answer) -> Answer:
    """A name instead of the folder itself: where it lies on the server is nobody's business."""
    return {key: _without_path(value) for key, value in facts.items()}


def _without_path(value: Any) -> Any:
    if isinstance(value, dict):
        return _without_paths(value)
    return value.replace(str(settings.MODELS_DIR), "MODELS_DIR") if isinstance(value, str) else value
