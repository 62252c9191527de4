"""An ASGI application for test_server.py: counts what it is sent and what it has handed to the server."""

import resource
from typing import Any

CHUNK = b"x" * 65536
counts = {"sent": 0, "received": 0}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["path"] == "/endless":
        await send({"type": "http.response.start", "status": 200})
        while True:
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            counts["sent"] += len(CHUNK)
    more = True
    while more:
        message = await receive()
        counts["received"] += len(message.get("body", b""))
        more = message.get("more_body", False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    body = f"{counts['sent']} {counts['received']} {peak}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
