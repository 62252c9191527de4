"""Who may change things: pages of this very origin, and programs that are no browser.

The studio asks for no login on loopback, so any web site open in the same browser could otherwise post to it. Browsers
cannot forge Origin and Sec-Fetch-Site; programs send neither. Exact origin, port included: cookies do not know ports.
See also ALLOWED_HOSTS (rebinding) and Django's CSRF middleware (pages)."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from isengard.errors import NotAllowed, NotFound
from isengard.views import problem

log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# "none": typed into the address bar or started from a bookmark, thus by the user.
OWN_FETCHES = frozenset({"same-origin", "none"})
REFUSAL = (
    "This change was asked for by a page of another site, so it was not made. Open the studio itself and try again."
)


def is_own(request: HttpRequest) -> bool:
    """True when the request was sent by a page of ours or by no browser at all."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin == f"{request.scheme}://{request.get_host()}" or origin in settings.CSRF_TRUSTED_ORIGINS
    return request.headers.get("Sec-Fetch-Site", "none") in OWN_FETCHES


class OriginMiddleware:
    """Refuses unsafe methods from foreign pages, for HTML and API alike, and addresses that nothing can have."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            # Postgres cannot even compare such a text, and nothing of ours has a NUL in it.
            return problem(request, NotFound("not_found", "There is nothing at this address."))
        if request.method in SAFE_METHODS or is_own(request):
            return self.get_response(request)
        context = {"origin": request.headers.get("Origin"), "path": request.path}
        log.warning("foreign page refused", extra={"event": "security.cross_origin", "context": context})
        return problem(request, NotAllowed("cross_origin", REFUSAL))


class SameOriginSession(SessionAuthentication):
    """The user of the session, if one has logged in, else nobody. A program without cookies needs no CSRF token."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, None] | None:
        if {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME} & set(request.COOKIES):
            self.enforce_csrf(request)
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            # Not even looking keeps `Vary: Cookie` off the answer, so that pictures stay in the browser's cache.
            return None
        user = getattr(request._request, "user", None)
        return (user, None) if user is not None and user.is_active else None


Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class SameOriginWebsocket:
    """Closes a socket whose page is not of this exact origin before the application hears of it.

    A client without an Origin header is no browser and may connect, as it may use the API."""

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if socket_is_own(scope.get("headers", ()), scope.get("scheme", "ws")):
            await self.inner(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 4403})


def socket_is_own(headers: Iterable[tuple[bytes, bytes]], scheme: str) -> bool:
    """Exact match of Origin with the Host that was asked for, which must be one of ours."""
    sent = {name.lower(): value.decode("latin-1") for name, value in headers}
    host = sent.get(b"host", "")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return False
    origin = sent.get(b"origin")
    own = f"{'https' if scheme == 'wss' else 'http'}://{host}"
    return origin is None or origin == own or origin in settings.CSRF_TRUSTED_ORIGINS
