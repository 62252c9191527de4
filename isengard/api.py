"""One shape for every error of the JSON API: `{"detail", "code"}`, whoever raised it. Part of the composition root."""

import logging
import math
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFilesSent
from django.http import Http404
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from isengard.errors import DomainError
from isengard.throttles import FairUse

log = logging.getLogger(__name__)

# DRF's codes in the words that clients of the original know from pydantic; any other code passes through.
SCHEMA_TYPES = {
    "required": "missing",
    "null": "none_not_allowed",
    "blank": "string_too_short",
    "max_length": "string_too_long",
    "min_length": "string_too_short",
    "max_value": "less_than_equal",
    "min_value": "greater_than_equal",
    "invalid_choice": "enum",
    "not_a_list": "list_type",
}
SENTENCES: dict[type[Exception], str] = {
    exceptions.NotAuthenticated: "Log in first.",
    exceptions.AuthenticationFailed: "Log in first.",
    exceptions.UnsupportedMediaType: "Send JSON, or a multipart form where files are meant.",
    exceptions.NotAcceptable: "This address answers in JSON only.",
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The response for an exception of an API view; None makes it a 500 with its trace in the log."""
    if isinstance(error, DomainError):
        return _answer(error.message, error.code, error.status)
    if isinstance(error, exceptions.ValidationError):
        place, sent = _sent(context)
        return _answer(schema_errors(error.get_full_details(), sent, (place,)), "invalid_request", 422)
    if isinstance(error, exceptions.ParseError):
        item = {"type": "json_invalid", "loc": ["body"], "msg": str(error.detail), "input": None}
        return _answer([item], "invalid_request", 422)
    if isinstance(error, exceptions.Throttled):
        return _throttled(error, context)
    return _known(error)


def _known(error: Exception) -> Response | None:
    if isinstance(error, Http404):
        return _answer(str(error) or "Not found.", "not_found", 404)
    if isinstance(error, PermissionDenied):
        return _answer(str(error) or "This is not allowed here.", "forbidden", 403)
    if isinstance(error, RequestDataTooBig | TooManyFilesSent):
        return _answer("That is more than one request may carry. Send it in smaller parts.", "too_large", 413)
    if isinstance(error, exceptions.PermissionDenied) and str(error.detail).startswith("CSRF"):
        message = "A browser's request needs its X-CSRFToken header. Reload the page, or send no cookies."
        return _answer(message, "csrf_failed", 403)
    if isinstance(error, exceptions.APIException):
        message = SENTENCES.get(type(error), str(error.detail))
        return _answer(message, str(error.default_code), error.status_code)
    return None


def _answer(detail: Any, code: str, status: int) -> Response:
    return Response({"detail": detail, "code": code}, status=status)


def _sent(context: dict[str, Any]) -> tuple[str, Any]:
    """What a serializer found fault with: the query of a reading request, else the body as it was parsed."""
    request: Request | None = context.get("request")
    if request is not None and request.method in SAFE_METHODS:
        return "query", request.query_params.dict()
    return "body", getattr(request, "_full_data", None)


def schema_errors(details: Any, sent: Any, loc: tuple[str | int, ...] = ("body",)) -> list[dict[str, Any]]:
    """DRF's nested details as a flat list of `{type, loc, msg, input}`, in the order of the fields."""
    if isinstance(details, dict) and set(details) == {"message", "code"} and isinstance(details["code"], str):
        kind = SCHEMA_TYPES.get(details["code"], details["code"])
        return [{"type": kind, "loc": list(loc), "msg": str(details["message"]), "input": _plain(sent)}]
    if isinstance(details, dict):
        parts = [(_place(key), item) for key, item in details.items()]
    else:
        # A list of errors about one value, or one entry per item of a list that was sent (empty: nothing wrong there).
        each = isinstance(sent, list) and len(sent) == len(details) and not _is_message(details)
        parts = [((index,) if each else (), item) for index, item in enumerate(details)]
    return [error for place, item in parts for error in schema_errors(item, _at(sent, place), loc + place)]


def _is_message(details: list[Any]) -> bool:
    return all(isinstance(item, dict) and set(item) == {"message", "code"} for item in details)


def _place(key: Any) -> tuple[str | int, ...]:
    return () if key == "non_field_errors" else (key,)


def _at(sent: Any, place: tuple[str | int, ...]) -> Any:
    """What was sent at that place; all of it when it was not sent at all, as pydantic shows it."""
    if not place:
        return sent
    key = place[0]
    if isinstance(sent, list):
        return sent[key] if isinstance(key, int) and key < len(sent) else sent
    return sent.get(key, sent) if hasattr(sent, "get") else sent


def _plain(value: Any) -> Any:
    """Only what JSON can hold goes back: of an uploaded file its name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(getattr(value, "name", type(value).__name__))


def _throttled(error: exceptions.Throttled, context: dict[str, Any]) -> Response:
    seconds = math.ceil(getattr(error, "wait", None) or 1)
    scope = getattr(context.get("view"), "throttle_scope", None)
    detail = {"error": f"Too many requests at once. Try again in {seconds} s.", "retry_after": seconds}
    log.warning("too many requests", extra={"event": "rate_limit.exceeded", "context": {"scope": scope}})
    response = _answer(detail, "throttled", 429)
    response.headers["Retry-After"] = str(seconds)
    response.headers["X-RateLimit-Limit"] = str(_limit(scope))
    response.headers["X-RateLimit-Remaining"] = "0"
    return response


def _limit(scope: str | None) -> int:
    throttle = FairUse()
    rate = throttle.THROTTLE_RATES.get(scope or "")
    return throttle.parse_rate(rate)[0] or 0 if rate else 0
