"""Many live viewers on the real server: everything arrives, in order, and the server's memory stays small.

ISENGARD_SOCKETS=sockets,seconds makes it larger (nightly: 1000,60). The client is the part of RFC 6455 it takes."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection

from isengard.jobs import events, transitions
from isengard.jobs.models import Job
from isengard.studio import children
from isengard.studio.process import die_with_parent
from tests.jobs import scripted
from tests.ports import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("bells"),
]
SOCKETS, SECONDS = (int(word) for word in os.environ.get("ISENGARD_SOCKETS", "200,8").split(","))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(port: int, tmp_path: Path) -> Iterator[psutil.Process]:
    spec = children.web("127.0.0.1", port)
    own = {"DJANGO_SETTINGS_MODULE": "tests.jobs.storm_settings", "STORM_DATABASE": connection.settings_dict["NAME"]}
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            spec.command,
            env={**os.environ, **spec.environment, **own},
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        yield psutil.Process(process.pid)
        process.kill()
        process.wait()


class Viewer:
    """One open page: every message it got, with the moment it came."""

    def __init__(self, port: int, job: Job) -> None:
        self._port, self._path = port, f"/ws/jobs/{job.public_id}/"
        self.heard: list[tuple[float, dict[str, Any]]] = []

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        key = base64.b64encode(os.urandom(16)).decode()
        host = f"127.0.0.1:{self._port}"
        lines = [f"GET {self._path} HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", ""]
        self._writer.write("\r\n".join(lines).encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.splitlines()[0], head

    async def listen(self) -> None:
        while True:
            first, length = await self._reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            data = await self._reader.readexactly(length)
            if first == 0x81:
                self.heard.append((time.time(), json.loads(data)))

    def events(self) -> list[tuple[float, dict[str, Any]]]:
        return [message for message in self.heard if message[1]["type"] == "event"]

    def close(self) -> None:
        self._writer.close()


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it holds, or when nobody would wait for it any longer."""
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.1)


async def until_open(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise AssertionError("the server did not start")


def speak(job: Job, seconds: int) -> None:
    """One event a second with the moment it was said."""
    for number in range(seconds):
        events.append(job, "log", {"number": number, "said": time.time()})
        time.sleep(1)
    connection.close()


def test_every_viewer_hears_everything_in_order_and_soon(port: int, server: psutil.Process) -> None:
    job = scripted.submit()

    async def scenario() -> list[Viewer]:
        await until_open(port)
        viewers = [Viewer(port, job) for _ in range(SOCKETS)]
        for viewer in viewers:
            await viewer.connect()
        listening = [asyncio.ensure_future(viewer.listen()) for viewer in viewers]
        await until(lambda: all(viewer.heard for viewer in viewers))
        await asyncio.to_thread(speak, job, SECONDS)
        await until(lambda: all(len(viewer.events()) >= SECONDS for viewer in viewers))
        for task, viewer in zip(listening, viewers, strict=True):
            task.cancel()
            viewer.close()
        return viewers

    viewers = asyncio.run(scenario())
    said = [viewer.events() for viewer in viewers]
    assert all([one["payload"]["number"] for _, one in heard] == list(range(SECONDS)) for heard in said)
    waits = sorted(at - one["payload"]["said"] for heard in said for at, one in heard)
    print(f"\n{SOCKETS} sockets: p50 {waits[len(waits) // 2]:.3f} s, p99 {waits[int(len(waits) * 0.99)]:.3f} s")
    assert waits[int(len(waits) * 0.99)] < 5


def test_pages_that_stopped_reading_do_not_fill_the_server(port: int, server: psutil.Process) -> None:
    """Ten pages that are open but asleep, while a job reports as often as it may for a while."""
    scripted.submit()
    job = transitions.claim("gpu", "w/0")
    assert job is not None

    async def scenario() -> None:
        await until_open(port)
        viewers = [Viewer(port, job) for _ in range(10)]
        for viewer in viewers:
            await viewer.connect()
        state = events.snapshot(job)
        for _ in range(3000):
            await asyncio.to_thread(events.announce, state)
        await asyncio.sleep(2)

    asyncio.run(scenario())
    assert server.memory_info().rss < 300e6
