"""From an uploaded stream to a clean picture on disk: size cap, free space, hash, decoding in a confined child, name.

Knows files and limits; nothing of rows, requests or characters beyond their ids."""

import hashlib
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from django.conf import settings

from isengard import storage
from isengard.engine import confined
from isengard.errors import Invalid, Unavailable

CHUNK = 1 << 20
# A small packed picture may be a large clean one.
LARGEST_CLEAN = 8
MAX_NAME = 100
EXTENSIONS = {"jpg": ("jpg", "jpeg", "jpe", "jfif"), "png": ("png",)}


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True)
class Decoded:
    """What the child made of an upload: `path` is a temporary file; sides in pixels; `color` as #rrggbb."""

    path: Path
    extension: str
    content_type: str
    width: int
    height: int
    color: str


def require_space() -> None:
    """Unavailable: the disk is nearly full, and a running training needs what is left."""
    if storage.free_bytes() < settings.FREE_SPACE_FLOOR:
        raise Unavailable("no_space", "The disk is nearly full. Free some space, then upload again.")


@contextmanager
def space_wanted() -> Iterator[None]:
    """Unavailable: what is done in the block found the disk full."""
    try:
        yield
    except OSError as error:
        if not storage.is_full(error):
            raise
        raise Unavailable("no_space", "The disk is full. Free some space, then try again.") from error


@contextmanager
def received(file: Readable) -> Iterator[tuple[Path, str]]:
    """The upload as a temporary file with its SHA-256, gone after the block.

    Invalid: empty, or over the cap. Unavailable: the disk became full meanwhile."""
    folder = storage.absolute("tmp")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "upload"
        with space_wanted():
            yield path, _copied(file, path)


def _copied(file: Readable, path: Path) -> str:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as target:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > settings.PHOTO_MAX_BYTES:
                raise too_large()
            digest.update(chunk)
            target.write(chunk)
    if size == 0:
        raise Invalid("empty_file", "The file is empty (0 bytes). Export it again and upload the new file.")
    return digest.hexdigest()


def too_large() -> Invalid:
    cap = settings.PHOTO_MAX_BYTES // (1024 * 1024)
    return Invalid("file_too_large", f"The file is larger than {cap} MB. Export it smaller and try again.", status=413)


def decoded(source: Path) -> Decoded:
    """The clean picture beside `source`, made by a confined child process. Invalid: with the reason in plain words."""
    target = source.with_name("clean")
    largest = LARGEST_CLEAN * settings.PHOTO_MAX_BYTES
    answer = confined.decode(source, target, min_side=settings.PHOTO_MIN_SIDE, largest_file=largest)
    if "code" in answer:
        raise Invalid(answer["code"], answer["reason"])
    return Decoded(path=target, **answer)


def display_text(name: str) -> str:
    """The uploaded name for people: one line, no folder, at most 255 characters."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    return "".join(char for char in base if char.isprintable())[:255]


def safe_name(name: str, extension: str) -> str:
    """The name a picture is addressed by: letters, digits, `_`, `-`, `.`; its extension says what is stored."""
    stem, _, given = display_text(name).rpartition(".")
    if given.lower() not in EXTENSIONS[extension]:
        given = extension
    stem = stem or display_text(name)
    clean = re.sub(r"[^\w.-]+", "_", stem).strip("._")[:MAX_NAME] or "photo"
    return f"{clean}.{given}"


def free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or `name-2.ext`, `name-3.ext` … when another picture has it."""
    stem, _, extension = wanted.rpartition(".")
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.{extension}"
    return name
