"""The one port the studio listens on: whether it is free before the start, whether the page answers after it."""

import errno
import http.client
import ipaddress
import socket

from isengard.studio.errors import StudioError

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def require_free(host: str, port: int) -> None:
    """Raise a sentence when the address cannot be listened on."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StudioError(_sentence(host, port, error)) from error


def answers(host: str, port: int) -> bool:
    """Whether GET /health says 200 there."""
    connection = http.client.HTTPConnection(WILDCARDS.get(host, host), port, timeout=2)
    try:
        connection.request("GET", "/health", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def exposure(host: str) -> str:
    """A warning when others than this machine can reach the address, else nothing: there is no login yet."""
    addresses = {str(found[4][0]) for found in socket.getaddrinfo(host or "0.0.0.0", None)}
    if all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        return ""
    return (
        f"Whoever reaches this machine on {host} can use the studio: it has no login. Put a proxy with one before it."
    )


def shown_url(host: str, port: int) -> str:
    host = WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is already taken by another program (perhaps another studio). "
            f"Stop that one, or choose another port: make run PORT={port + 1 if port < 65535 else 8001}"
        )
    if error.errno == errno.EACCES:
        return f"Port {port} may only be opened by root. Choose one above 1023: make run PORT=8000"
    return (
        f"Cannot listen on {host}:{port} ({error.strerror}). Give an address of this machine: make run HOST=127.0.0.1"
    )
