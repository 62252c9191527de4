"""What is said about the one port the studio listens on."""

import socket

import pytest

from isengard.studio import ports
from isengard.studio.errors import StudioError


def test_a_free_port_is_accepted() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ports.require_free("127.0.0.1", port)


def test_a_taken_port_names_another() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StudioError, match=r"already taken.*make run PORT="):
            ports.require_free("127.0.0.1", other.getsockname()[1])


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StudioError, match=r"Cannot listen on 192\.0\.2\.1"):
        ports.require_free("192.0.2.1", 8000)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_the_shown_address_can_be_opened(host: str, url: str) -> None:
    assert ports.shown_url(host, 8000) == url


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_an_address_that_others_can_reach_is_warned_about(host: str, warned: bool) -> None:
    assert bool(ports.exposure(host)) is warned


def test_a_closed_port_does_not_answer() -> None:
    assert not ports.answers("127.0.0.1", 1)
