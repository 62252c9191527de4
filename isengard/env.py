"""Reads settings from environment variables and refuses nonsense with a sentence. Knows nothing of Django."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class BadSetting(SystemExit):
    """A setting that cannot be used: the process ends with this sentence instead of a traceback."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f"{name}={value!r} cannot be used: {expected}. See docs/configuration.md.")


def flag(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value == "":
        return default
    if value not in TRUE | FALSE:
        raise BadSetting(name, value, "say true or false")
    return value in TRUE


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = os.environ.get(name) or default
    if value not in allowed:
        raise BadSetting(name, value, f"choose one of {', '.join(allowed)}")
    return value


def integer(name: str, default: int, minimum: int, maximum: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not minimum <= int(value) <= maximum:
        raise BadSetting(name, value, f"give a whole number from {minimum} to {maximum}")
    return int(value)


def names(name: str, default: str) -> list[str]:
    return [part.strip() for part in (os.environ.get(name) or default).split(",") if part.strip()]


def folder(name: str, default: Path) -> Path:
    return Path(os.environ.get(name) or default).expanduser().resolve()


def database(name: str, default: str) -> dict[str, Any]:
    """`postgresql://user:password@host:port/name?host=/socket/dir` as Django's dictionary; the URL is never logged."""
    value = os.environ.get(name) or default
    url = urlsplit(value)
    if url.scheme not in {"postgres", "postgresql"} or len(url.path) < 2:
        raise BadSetting(name, url.scheme, "give postgresql://user:password@host:port/name")
    query = parse_qs(url.query)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path[1:]),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": query.get("host", [url.hostname or ""])[0],
        "PORT": str(url.port or ""),
        # A request of the web has a thread of its own: a connection that outlives it is nobody's (12 readers left 94).
        "CONN_MAX_AGE": 60 if os.environ.get("ISENGARD_SERVICE") == "worker" else 0,
        "CONN_HEALTH_CHECKS": True,
    }


def channel_prefix(redis_url: str) -> str:
    """What the channel layer puts before every name: with the number of the database, as pub/sub knows none and two
    studios on one Redis would hear each other. Web and workers share the number, or else they would share no queue."""
    url = urlsplit(redis_url)
    number = parse_qs(url.query).get("db", [url.path.strip("/") if url.scheme != "unix" else ""])[0]
    return f"isengard{number if number.isdecimal() else 0}"


def celery_broker(redis_url: str) -> str:
    """Celery spells a unix socket `redis+socket:///path?virtual_host=0` where redis-py says `unix:///path?db=0`."""
    url = urlsplit(redis_url)
    if url.scheme != "unix":
        return redis_url
    return f"redis+socket://{url.path}?virtual_host={parse_qs(url.query).get('db', ['0'])[0]}"


def secret_key(path: Path) -> str:
    """SECRET_KEY from the environment, else 64 random bytes kept in a file that only we can read."""
    given = os.environ.get("SECRET_KEY")
    if given is not None:
        if len(given) < 32:
            raise BadSetting("SECRET_KEY", "…", "give at least 32 characters, or leave it unset to have one made")
        return given
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(64))
        # Linking fails when another process was first; either way the file is whole when anybody reads it.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()
