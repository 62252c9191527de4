"""Sets logging up for one process: the service's session file for everything, the terminal for people.

`settings.LOGGING_CONFIG` points here. The service is named by ISENGARD_SERVICE (web, worker, beat; anything else is a
command at a terminal, whose standard output belongs to its own answer)."""

import logging
import os
import secrets
import sys
from typing import Any

from isengard.logs.formats import JsonLines, PlainLines
from isengard.logs.session_file import SessionFile

SERVICES = ("web", "worker", "beat")
# What these say below this level, our own records say better (request.end, job.*).
QUIET = {
    "django.request": "ERROR",
    "django.server": "WARNING",
    "django.channels.server": "WARNING",
    "celery.app.trace": "WARNING",
    # A line for every bell.
    "celery.worker.strategy": "WARNING",
    "celery.beat": "WARNING",
    "PIL": "WARNING",
    "asyncio": "WARNING",
    "urllib3": "WARNING",
}


def service() -> str:
    name = os.environ.get("ISENGARD_SERVICE", "")
    return name if name in SERVICES else "cli"


def configure(options: dict[str, Any]) -> None:
    """Replaces every handler of the process. Reads LOG_DIR and LOG_LEVEL; `options` (LOGGING) has nothing to add."""
    from django.conf import settings

    name = service()
    file = SessionFile(settings.LOG_DIR, name)
    file.setFormatter(JsonLines(name))
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(settings.LOG_LEVEL)
    root.addHandler(file)
    root.addHandler(_terminal(name))
    _hand_to_root()
    if name != "cli":
        _startup(file, settings.ISENGARD_MODE, settings.LOG_LEVEL)


def _terminal(name: str) -> logging.Handler:
    stream = sys.stderr if name == "cli" else sys.stdout
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainLines(name) if name == "cli" or stream.isatty() else JsonLines(name))
    if name == "cli":
        handler.setLevel("WARNING")
    return handler


def _hand_to_root() -> None:
    """Django and Daphne bring handlers of their own: theirs would print every line a second time, unredacted."""
    for logger in ("django", "django.server", "daphne", "celery"):
        logging.getLogger(logger).handlers.clear()
        logging.getLogger(logger).propagate = True
    for logger, level in QUIET.items():
        logging.getLogger(logger).setLevel(level)
    logging.captureWarnings(True)


def _startup(file: SessionFile, mode: str, level: str) -> None:
    file.begin()
    context = {
        "mode": mode,
        "log_level": level,
        "session_id": secrets.token_hex(6),
        "pid": os.getpid(),
        "archived": file.archived.name if file.archived else None,
    }
    logging.getLogger("isengard.logs").info("starting", extra={"event": "system.startup", "context": context})
