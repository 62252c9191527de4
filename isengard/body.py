"""Refuses a request body that is larger than anything the studio takes, or than the disk it waits on has room for.

An ASGI wrapper around Django, which by itself would first write the whole of it to disk."""

import errno
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

ANSWER = {
    "detail": "This is more than one request may carry. Send the files one by one, or split the archive.",
    "code": "too_large",
}

FULL = {
    "detail": "The disk has no room for this. Free some space, then send it again.",
    "code": "no_space",
}


class TooLarge(Exception):
    """More bytes came than the limit allows."""


class BoundedBody:
    """`larger`: other limits for the addresses that end in these words."""

    def __init__(self, inner: App, limit: int, larger: Mapping[str, int] | None = None) -> None:
        self.inner, self.limit, self.larger = inner, limit, larger or {}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        limit = next((most for end, most in self.larger.items() if scope.get("path", "").endswith(end)), self.limit)
        if _declared(scope) > limit:
            await _refuse(send, 413, ANSWER)
            return
        coming = _Coming(receive, limit)
        try:
            await self.inner(scope, coming, send)
        except TooLarge:
            # Django reads the body before anything else, so no response has begun.
            await _refuse(send, 413, ANSWER)
        except OSError as error:
            if coming.whole or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            await _refuse(send, 503, FULL)


class _Coming:
    """A body while it is read, counted; `whole` once its last part was taken."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._seen, self._last, self.whole = 0, False, False

    async def __call__(self) -> Message:
        # Whoever asks for more has stored what came before.
        self.whole = self._last
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        self._last = not message.get("more_body", False)
        if self._seen > self._limit:
            raise TooLarge
        return message


def _declared(scope: dict[str, Any]) -> int:
    """Content-Length, or 0 where there is none (a chunked body) or nonsense (then counting decides)."""
    value = dict(scope.get("headers", ())).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


async def _refuse(send: Send, status: int, answer: Mapping[str, str]) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
