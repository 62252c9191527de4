"""`manage.py studio`: the whole studio from one parent process. Starts what is missing, stops everything it started."""

import fcntl
import os
import signal
import webbrowser
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from isengard.engine.capabilities import Capabilities, probe
from isengard.studio import children, ports
from isengard.studio.errors import StudioError
from isengard.studio.paths import StatePaths
from isengard.studio.process import FileLock
from isengard.studio.services import Hold, addresses, prepare, wanted
from isengard.studio.supervisor import Supervisor, wait_ready

READY_SECONDS = 90.0


class Command(BaseCommand):
    help = "Runs the whole studio: Postgres, Redis, the web server, the workers and the clock."
    requires_system_checks: list[str] = []  # `manage.py doctor` runs them; a start should not wait

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--open", action="store_true", help="open the page in a browser when it answers")

    def handle(self, *args: Any, **options: Any) -> None:
        paths = StatePaths.of(settings.STATE_DIR)
        try:
            with _only_one(paths):
                ports.require_free(options["host"], options["port"])
                with _services(paths) as share:
                    _run(paths, options["host"], options["port"], share, browser=options["open"])
        except StudioError as error:
            raise CommandError(str(error)) from error


def _run(paths: StatePaths, host: str, port: int, share: int | None, browser: bool) -> None:
    machine = probe()
    gpus = _gpu_names(machine)
    environment = {**os.environ, **addresses(paths, os.environ).environment(), "GPU_COUNT": str(len(gpus) or 1)}
    supervisor = Supervisor(environment, share)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, supervisor.on_signal)
    try:
        for note in (machine.note, ports.exposure(host)):
            if note:
                supervisor.say(note)
        # The web server loads while the database is prepared; the workers wait, so that the page has every core.
        supervisor.start(children.web(host, port))
        _migrate(paths, supervisor)
        if paths.file("sample-wanted").exists():
            supervisor.start(children.sample())
        if wait_ready(supervisor, lambda: _is_up(supervisor, host, port), READY_SECONDS):
            _is_ready(paths, supervisor, ports.shown_url(host, port), browser)
            workers = children.workers(os.cpu_count() or 1, gpus)
            supervisor.start(*workers, children.beat(paths.file("beat-schedule")))
        while not supervisor.signals:
            supervisor.tick()
        supervisor.say("Stopping. Work in progress is saved; press Ctrl-C again to stop at once.")
    finally:
        supervisor.stop()


def _is_ready(paths: StatePaths, supervisor: Supervisor, url: str, browser: bool) -> None:
    supervisor.say(f"Isengard is ready: {url}")
    if supervisor.succeeded("sample"):
        paths.file("sample-wanted").unlink(missing_ok=True)
    if browser:
        webbrowser.open(url)


def _gpu_names(machine: Capabilities) -> list[str]:
    """What to write into CUDA_VISIBLE_DEVICES, one name per GPU that the engine can use; empty on a CPU machine."""
    return [gpu.uuid or str(gpu.index) for gpu in machine.gpus] if machine.device == "cuda" else []


def _is_up(supervisor: Supervisor, host: str, port: int) -> bool:
    """The first page shows the sample character, so it counts as up when that is made too."""
    return not supervisor.running("sample") and ports.answers(host, port)


def _migrate(paths: StatePaths, supervisor: Supervisor) -> None:
    """Bring the database up to date; asking whether anything is missing takes a tenth of what `migrate` takes."""
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            if not executor.loader.applied_migrations:
                paths.file("sample-wanted").touch()
            supervisor.say("Preparing the database ...")
            call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        raise StudioError(f"The database cannot be used: {reason}. See `manage.py doctor` and DATABASE_URL.") from error
    finally:
        connection.close()


@contextmanager
def _only_one(paths: StatePaths) -> Iterator[None]:
    prepare(paths)
    lock = FileLock(paths.file("studio.lock"))
    try:
        if not lock.try_take(fcntl.LOCK_EX):
            raise StudioError(f"A studio is already running on {paths.state}. Stop it first, or set VOLUME_ROOT.")
        yield
    finally:
        lock.close()


@contextmanager
def _services(paths: StatePaths) -> Iterator[int | None]:
    """Running services and our share in them, which every child inherits: they stop after the last child has ended."""
    names = wanted(os.environ)
    if not names:
        yield None
        return
    hold = Hold(paths, names)
    try:
        hold.acquire()
        yield hold.lock.fd
    finally:
        hold.release()
