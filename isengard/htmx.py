"""The HTML skin's few shared moves: whole page or fragment, redirects, and domain errors as toasts."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from isengard.errors import DomainError

# The status that makes htmx swap the answer in and stop polling.
STOP_POLLING = 286
GetResponse = Callable[[HttpRequest], HttpResponse]


def is_fragment(request: HttpRequest) -> bool:
    """True when htmx asks for a part of the page (and not for a boosted or restored whole one)."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and "HX-Boosted" not in headers
        and "HX-History-Restore-Request" not in headers
    )


def render_page(
    request: HttpRequest, template: str, partial: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """The named partial of `template` for htmx, the whole template otherwise."""
    name = f"{template}#{partial}" if is_fragment(request) else template
    response = render(request, name, dict(context), status=status)
    response.headers["Vary"] = "HX-Request"
    return response


def redirect_to(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect that works with and without htmx."""
    if is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def toast(
    response: HttpResponse, message: str, level: str = "success", *, events: Iterable[str] = (), **extra: Any
) -> HttpResponse:
    """Adds a toast that the page shows, and events for its parts, when htmx has this response."""
    told = {"toast": {"message": message, "level": level, **extra}, **dict.fromkeys(events, "")}
    response.headers["HX-Trigger"] = json.dumps(told)
    return response


class DomainErrorMiddleware:
    """Turns a DomainError of an HTML view into its sentence: a toast for htmx, an error page otherwise."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        if is_fragment(request):
            return toast(
                HttpResponse(error.message, status=error.status, content_type="text/plain"),
                error.message,
                "error",
                code=error.code,
            )
        return render(request, "errors/domain.html", {"error": error}, status=error.status)
