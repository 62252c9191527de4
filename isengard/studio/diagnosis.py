"""What `manage.py doctor` looks at: a value and, where something is wrong, the fix. Changes nothing."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import redis
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from isengard.engine import catalog
from isengard.engine.capabilities import probe
from isengard.engine.errors import EngineError
from isengard.jobs.services import online
from isengard.studio.errors import StudioError
from isengard.studio.redis import SUPPORTED, find_program

PACKAGES = ("Django", "torch", "diffusers", "transformers", "peft", "celery", "channels", "daphne")
START = "Start the studio: make run"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `fix` is empty where all is well, and `wrong` decides the exit code."""

    name: str
    value: str
    wrong: bool = False
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Every finding in the order it is printed; a part that is down never stops the rest."""
    yield from _versions()
    yield _disk()
    yield _gpu()
    yield from _models()
    yield from _settings()
    database = list(_database())
    yield from database
    yield _redis()
    if not any(finding.wrong for finding in database):
        yield from _workers()


def _versions() -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Finding(
        "Python", python, not supported, "" if supported else "Use Python 3.11 or 3.12: make run PYTHON=python3.11"
    )
    for name in PACKAGES:
        try:
            yield Finding(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "not installed", True, "Install the packages: make run")


def _disk() -> Finding:
    free = shutil.disk_usage(settings.VOLUME_ROOT).free
    full = free < settings.FREE_SPACE_FLOOR
    fix = "Free some space, or set VOLUME_ROOT to a folder on another disk." if full else ""
    return Finding("Disk", f"{free / 1e9:.1f} GB free in {settings.VOLUME_ROOT}", full, fix)


def _gpu() -> Finding:
    machine = probe()
    names = ", ".join(f"{gpu.name} ({gpu.vram_bytes / 2**30:.0f} GiB)" for gpu in machine.gpus) or "none"
    return Finding("GPU", f"{names}; the engine uses {machine.name}", bool(machine.note), machine.note)


def _models() -> Iterator[Finding]:
    """Pocket has to be there, the others are a choice; in production at least the default has to be."""
    needed = "pocket" if settings.ISENGARD_MODE == "fast-test" else "flux-dev"
    for base in catalog.BASES.values():
        try:
            value, fix = str(catalog.locate(base.key, settings.MODELS_DIR)), ""
        except EngineError as error:
            value, fix = "not on this disk", error.message
        except OSError as error:
            value, fix = f"cannot be read: {error.strerror}", f"Make {error.filename} readable for this user."
        wrong = bool(fix) and base.key == needed
        yield Finding(f"Model {base.key}", value, wrong, fix if wrong else "")


def _settings() -> Iterator[Finding]:
    problems = [message for message in run_checks() if message.level >= ERROR]
    if not problems:
        yield Finding("Settings", "no complaints")
    for message in problems:
        yield Finding(f"Settings {message.id}", message.msg, True, message.hint or "See docs/configuration.md")


def _database() -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            yield Finding("Postgres", cursor.fetchone()[0])
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as error:
        yield Finding("Postgres", f"not reachable: {_first_line(error)}", True, f"{START}, or correct DATABASE_URL.")
        return
    value = f"{missing} not applied" if missing else "all applied"
    yield Finding("Migrations", value, bool(missing), "Run: .venv/bin/python manage.py migrate" if missing else "")


def _redis() -> Finding:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3, socket_connect_timeout=3)
    try:
        found = dict(client.info("server"))
    except redis.RedisError as error:
        return Finding("Redis", f"not reachable: {_first_line(error)}", True, _redis_fix())
    finally:
        client.close()
    version = str(found.get("valkey_version") or found["redis_version"])
    old = tuple(int(part) for part in version.split(".")[:2]) < SUPPORTED
    note = " (the bundled one works; a valkey-server of at least 7.2 on the PATH is preferred)" if old else ""
    return Finding("Redis", version + note)


def _redis_fix() -> str:
    try:
        find_program()
    except StudioError as error:
        return str(error)
    return f"{START}, or correct REDIS_URL."


def _workers() -> Iterator[Finding]:
    for lane in ("gpu", "cpu"):
        names = sorted(online(lane).values_list("name", flat=True))
        value = ", ".join(names) or "none alive"
        yield Finding(f"Workers {lane}", value, not names, "" if names else START)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
