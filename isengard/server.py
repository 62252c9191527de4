"""Daphne with bounded memory: `python -m isengard.server` takes the options of `daphne`.

Datasets of gigabytes come in and go out here. By itself Daphne parses forms in memory, queues a whole body for the
application, and buffers whatever a slow reader has not taken yet. Knows neither Django nor the studio."""

import asyncio
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

from daphne.cli import CommandLineInterface
from daphne.http_protocol import WebRequest
from daphne.server import Server
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

CHUNK = 1 << 16
Message = dict[str, Any]


class Body:
    """Stands where Daphne has its queue: the body is read from Twisted's temporary file as the application asks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file
        self._later: asyncio.Queue[Message] = asyncio.Queue()

    async def receive(self) -> Message:
        if self._file is None:
            return await self._later.get()
        # Reading never waits, so without this a large body would keep every other request waiting.
        await asyncio.sleep(0)
        chunk = self._file.read(CHUNK)
        if len(chunk) < CHUNK:
            self._file.close()
            self._file = None
        return {"type": "http.request", "body": chunk, "more_body": self._file is not None}

    def put_nowait(self, message: Message) -> None:
        """What Daphne says of the body is about the empty one it was left with."""
        if message["type"] != "http.request":
            self._later.put_nowait(message)


@implementer(IPushProducer)
class Flow:
    """Told by the connection when its buffer is full and when there is room again."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()

    def pauseProducing(self) -> None:
        self.free.clear()

    def resumeProducing(self) -> None:
        self.free.set()

    def stopProducing(self) -> None:
        """The reader is gone: whoever waits goes on, and hears of it from Daphne."""
        self.free.set()


class BoundedServer(Server):
    def protocol_connected(self, protocol: Any) -> None:
        super().protocol_connected(protocol)
        if isinstance(protocol, WebRequest):
            # Django parses forms, from the file.
            protocol._parsePOSTFormSubmission = False

    def create_application(self, protocol: Any, scope: Message) -> Any:
        if scope["type"] != "http":
            return super().create_application(protocol, scope)
        body = Body(protocol.content)
        protocol.content = BytesIO()
        scope.setdefault("asgi", {"version": "3.0"})
        running = self.application(scope=scope, receive=body.receive, send=partial(self.handle_reply, protocol))
        self.connections[protocol]["application_instance"] = asyncio.ensure_future(running)
        return body

    async def handle_reply(self, protocol: Any, message: Message) -> None:
        more = bool(message.get("more_body")) and message["type"] == "http.response.body"
        state = self.connections.get(protocol, {})
        if "flow" in state and not more:
            self._unregister(protocol, state)
        await super().handle_reply(protocol, message)
        if more and "flow" not in state and protocol.channel is not None:
            state["flow"] = Flow()
            protocol.registerProducer(state["flow"], True)
        if more:
            # Also when nobody takes it any more: an application that only sends must not keep the others waiting.
            await asyncio.sleep(0)
        if more and "flow" in state:
            await state["flow"].free.wait()

    @staticmethod
    def _unregister(protocol: Any, state: Message) -> None:
        del state["flow"]
        # Without a channel the reader has left, and the connection has let go of the flow itself.
        if protocol.channel is not None:
            protocol.unregisterProducer()


class CommandLine(CommandLineInterface):
    server_class = BoundedServer


if __name__ == "__main__":
    CommandLine.entrypoint()
