"""Refuses a request body that is larger than anything the studio takes, by its declared length and by counting.

An ASGI wrapper around Django, which by itself would first write the whole of it to disk."""

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


class TooLarge(Exception):
    """More bytes came than the limit allows."""


class BoundedBody:
    """`larger`: other limits for the addresses that end in these words."""

    def __init__(self, inner: App, limit: int, larger: Mapping[str, int] | None = None) -> None:
        self.inner, self.limit, self.larger = inner, limit, larger or {}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        limit = next((most for end, most in self.larger.items() if scope.get("path", "").endswith(end)), self.limit)
        if _declared(scope) > limit:
            await _refuse(send)
            return
        try:
            await self.inner(scope, self._counting(receive, limit), send)
        except TooLarge:
            # Django reads the body before anything else, so no response has begun.
            await _refuse(send)

    @staticmethod
    def _counting(receive: Receive, limit: int) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLarge
            return message

        return counted


def _declared(scope: dict[str, Any]) -> int:
    """Content-Length, or 0 where there is none (a chunked body) or nonsense (then counting decides)."""
    value = dict(scope.get("headers", ())).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(ANSWER).encode()})
