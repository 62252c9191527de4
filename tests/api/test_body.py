"""A body larger than anything we take is refused, whether it says so or lies about it."""

import asyncio
import errno
from collections.abc import Mapping
from typing import Any

import pytest

from isengard.body import BoundedBody


def answered(headers: list[tuple[bytes, bytes]], chunks: list[bytes], room: int = 100) -> int:
    """The status for a body sent in these chunks, with a limit of 10 bytes and a disk of `room` bytes."""
    sent: list[Mapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message, kept = {"more_body": True}, 0
        while message["more_body"]:
            message = await receive()
            kept += len(message["body"])
            if kept > room:
                raise OSError(errno.ENOSPC, "No space left on device")
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(BoundedBody(app, 10)({"type": "http", "headers": headers}, receive, send))
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize(
    ("length", "chunks", "status"),
    [
        (b"10", [b"x" * 10], 200),
        (b"11", [b"x" * 11], 413),
        (b"5", [b"x" * 6, b"x" * 6], 413),
        (b"nonsense", [b"x" * 11], 413),
        (None, [b"x"] * 11, 413),
        (None, [b"x"] * 10, 200),
    ],
)
def test_the_limit_holds_however_the_body_comes(length: bytes | None, chunks: list[bytes], status: int) -> None:
    headers = [(b"content-length", length)] if length is not None else []
    assert answered(headers, chunks) == status


@pytest.mark.parametrize("chunks", [[b"x" * 5], [b"x" * 3, b"x" * 3, b"x"]])
def test_a_body_that_the_disk_has_no_room_for_is_answered(chunks: list[bytes]) -> None:
    assert answered([], chunks, room=4) == 503
