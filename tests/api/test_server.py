"""The web server holds neither a large body nor what a slow reader has not taken yet in memory."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from isengard.studio.process import die_with_parent
from tests.ports import free_port

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1 << 20


@pytest.fixture
def port() -> Iterator[int]:
    number = free_port()
    command = [sys.executable, "-m", "isengard.server", "-b", "127.0.0.1", "-p", str(number), "-v", "0"]
    # An application that never waits leaves its server no moment to hear a polite signal in.
    server = subprocess.Popen(
        [*command, "tests.api.hungry_app:application"], cwd=ROOT, preexec_fn=die_with_parent(signal.SIGKILL)
    )
    try:
        _wait(number)
        yield number
    finally:
        server.kill()
        server.wait(20)


def _wait(number: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", number), 1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def counted(port: int, body: object = b"", headers: dict[str, str] | None = None) -> list[int]:
    """Bytes the application has sent and received, and the server's peak memory in kilobytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/count", body, headers or {})  # type: ignore[arg-type]
    return [int(number) for number in connection.getresponse().read().split()]


def test_a_reader_that_takes_nothing_is_waited_for(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as reader:
        reader.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2)
        assert 0 < counted(port)[0] < 32 * MEGABYTE


def test_a_reader_that_goes_on_gets_more(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as reader:
        reader.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        taken = 0
        while taken < 64 * MEGABYTE:
            taken += len(reader.recv(MEGABYTE))
    assert counted(port)[0] >= 60 * MEGABYTE


def test_the_server_lives_on_after_a_reader_has_left(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as reader:
        reader.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        reader.recv(1000)
    time.sleep(1)
    assert len(counted(port)) == 3


def test_a_large_form_arrives_whole_and_never_lies_in_memory(port: int) -> None:
    before = counted(port)[2]
    parts = (b"x" * MEGABYTE for _ in range(200))
    kind = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(200 * MEGABYTE)}
    _, received, peak = counted(port, parts, kind)
    assert received == 200 * MEGABYTE
    assert (peak - before) * 1024 < 40 * MEGABYTE
