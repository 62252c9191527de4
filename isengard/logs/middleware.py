"""Gives every request its correlation id, writes its start and end to the log, and returns the ids in the response.

Works inside a synchronous and an asynchronous stack; knows no app and no user."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from isengard.logs import correlation

log = logging.getLogger("isengard.requests")
Sync = Callable[[HttpRequest], HttpResponseBase]
Async = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

# Asked every few seconds by probes and static files by every page: worth a line only when somebody debugs.
QUIET_PATHS = ("/health", "/api/health", "/static/")


class CorrelationMiddleware:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Sync | Async) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self._respond(request)
        with correlation.using(_identify(request)):
            started = _begin(request)
            return _end(request, cast(Sync, self.get_response)(request), started)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        with correlation.using(_identify(request)):
            started = _begin(request)
            return _end(request, await cast(Async, self.get_response)(request), started)


def _identify(request: HttpRequest) -> str:
    """The id, also as `request.correlation_id` for templates."""
    chosen = correlation.chosen(request.headers.get("X-Correlation-ID"))
    request.correlation_id = chosen  # type: ignore[attr-defined]
    return chosen


def _begin(request: HttpRequest) -> float:
    _say(request, "request.start", {"client_ip": request.META.get("REMOTE_ADDR", "")})
    return time.monotonic()


def _end(request: HttpRequest, response: HttpResponseBase, started: float) -> HttpResponseBase:
    response.headers["X-Correlation-ID"] = correlation.current()
    interaction = _interaction(request)
    if interaction:
        response.headers["X-Interaction-ID"] = interaction
    duration = round((time.monotonic() - started) * 1000, 1)
    _say(request, "request.end", {"status": response.status_code, "duration_ms": duration})
    return response


def _interaction(request: HttpRequest) -> str:
    value = request.headers.get("X-Interaction-ID", "")
    return value if correlation.is_sane(value) else ""


def _say(request: HttpRequest, event: str, context: dict[str, Any]) -> None:
    level = logging.DEBUG if request.path.startswith(QUIET_PATHS) else logging.INFO
    about = {"method": request.method, "path": request.path, **context}
    words = " ".join(str(about[key]) for key in ("method", "path", "status") if key in about)
    log.log(level, words, extra={"event": event, "context": about, "interaction_id": _interaction(request)})
