"""Wildcards of prompts: text files below VOLUME_ROOT/wildcards, one choice a line. Only reads."""

from functools import lru_cache
from pathlib import Path

from isengard import storage
from isengard.errors import Invalid

FOLDER = "wildcards"
LARGEST = 1 << 20
SHOWN = 200


def names() -> list[str]:
    """Every wildcard by the name that a prompt calls it, e.g. `hair` or `places/city`."""
    root = storage.absolute(FOLDER)
    found = (path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.txt") if path.is_file())
    return sorted(found)[:SHOWN]


def lines(name: str) -> tuple[str, ...]:
    """The choices of a wildcard; empty lines and those that begin with # are none.

    Invalid: there is no such file, it is larger than 1 MB, or it offers nothing."""
    path = storage.absolute(f"{FOLDER}/{name}.txt")
    if not path.is_file():
        known = ", ".join(names()[:10]) or "none yet"
        raise Invalid(
            "no_wildcard",
            f"There is no wildcard called {name!r}. Put {name}.txt into the folder {FOLDER}, one choice a line. "
            f"Known: {known}.",
        )
    facts = path.stat()
    if facts.st_size > LARGEST:
        raise Invalid("large_wildcard", f"The wildcard {name!r} is larger than 1 MB. Split it.")
    if not (found := _read(path, facts.st_mtime_ns, facts.st_size)):
        raise Invalid("empty_wildcard", f"The wildcard {name!r} has no line to choose from.")
    return found


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int) -> tuple[str, ...]:
    """A prompt may name one wildcard hundreds of times for each of its pictures. No NULs, which no database takes."""
    words = (line.strip() for line in path.read_text(errors="replace").replace("\0", "").splitlines())
    return tuple(line for line in words if line and not line.startswith("#"))
