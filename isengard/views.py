"""What a request gets that ends nowhere (404) or badly (400, 403, 500): JSON below /api, a page elsewhere."""

from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from isengard.errors import DomainError, Invalid, NotAllowed, NotFound, Unavailable
from isengard.htmx import is_fragment, toast
from isengard.logs import correlation

JSON_PATHS = ("/api/", "/health", "/info", "/ready", "/openapi.json")


def problem(request: HttpRequest, error: DomainError, template: str = "errors/domain.html") -> HttpResponse:
    """The error as `{detail, code}` below /api, as a toast for htmx, as a page for everybody else."""
    if request.path.startswith(JSON_PATHS):
        return JsonResponse({"detail": error.message, "code": error.code}, status=error.status)
    if is_fragment(request):
        plain = HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")
        return toast(plain, error.message, "error", code=error.code)
    return render(request, template, {"error": error}, status=error.status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    error = NotFound("not_found", f"There is nothing at {request.path[:200]}.")
    return problem(request, error, "errors/404.html")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, DisallowedHost):
        message = "The studio does not answer to this address. Use http://127.0.0.1, or add the name to ALLOWED_HOSTS."
        return problem(request, Invalid("wrong_host", message))
    return problem(request, Invalid("bad_request", "This request cannot be understood. Reload the page and try again."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(request, NotAllowed("forbidden", "This is not allowed here."), "errors/403.html")


def csrf_failure(request: HttpRequest, reason: str = "", **_: Any) -> HttpResponse:
    message = "This page is too old to be trusted with a change. Reload it and try again."
    return problem(request, NotAllowed("csrf_failed", message), "errors/403_csrf.html")


def server_error(request: HttpRequest) -> HttpResponse:
    """The log has the trace; the user gets its id. No query here: the database may be what failed."""
    message = f"Something went wrong in the studio itself. The log knows it as {correlation.current()}."
    return problem(request, Unavailable("server_error", message, status=500), "errors/500.html")
