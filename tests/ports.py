"""Where servers of tests listen."""

import secrets
import socket
from contextlib import suppress

# Below the ports that the kernel lends to outgoing connections, one of which could take it before the server does.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
