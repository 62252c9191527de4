"""The correlation id of the work at hand: one id from the browser's click to the engine's log line. No Django."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Printable, harmless in a header, a log line and a file name; the original's longest id has 40 characters.
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")

_current: ContextVar[str] = ContextVar("correlation_id", default="")


def current() -> str:
    """The id of the request, task or job being worked on; "" outside of any."""
    return _current.get()


def new_id() -> str:
    return f"req-{secrets.token_hex(6)}"


def is_sane(value: str) -> bool:
    """True for an id that may be echoed and stored as it came: 1-64 letters, digits and `._:-`."""
    return SANE.fullmatch(value) is not None


def chosen(value: str | None) -> str:
    """The client's own id when it is sane, else a fresh one."""
    return value if value is not None and is_sane(value) else new_id()


@contextmanager
def using(correlation_id: str) -> Iterator[str]:
    """Makes `correlation_id` the current one for a block."""
    token = _current.set(correlation_id)
    try:
        yield correlation_id
    finally:
        _current.reset(token)


def enter(correlation_id: str) -> None:
    """Makes it the current one until the next call: for callers with no block of their own (a Celery task's hooks)."""
    _current.set(correlation_id)
