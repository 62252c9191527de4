"""Looks at a ZIP before anything of it is unpacked: what in it may come in, and why the rest may not.

Reads the list at the archive's end only. Knows no character and no database. An archive that was made to do
harm is refused as a whole; in an honest one each entry is taken or refused for itself, with its reason."""

import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from characters import photos
from isengard.errors import Invalid

# The limits of the threat list in the design (zip slip and bombs); a photo of 50 MB is the upload's own cap.
MAX_ENTRIES = 5_000
MAX_BYTES = 4 << 30
MAX_RATIO = 100
# Below this size a good ratio is no bomb: a caption file of one repeated word is packed 100 to 1.
RATIO_FLOOR = 1 << 20
# What zipfile reads into memory before it says how many entries there are: 5,000 with names of 700 bytes.
MAX_DIRECTORY = 4 << 20
MAX_TEXT = 64 << 10
MAX_METADATA = 64 << 20

PICTURES = frozenset({"jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "heic", "heif", "avif"})
CAPTIONS = frozenset({"txt", "caption"})
ARCHIVES = frozenset({"zip", "rar", "7z", "tar", "gz", "tgz", "bz2", "xz", "zst", "cbz"})
METADATA, ABOUT = "metadata.jsonl", "isengard.json"
JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
# In an export: photos whose files were gone by then.
MISSING = "missing.txt"
ENCRYPTED = 0x1
UTF8_NAME = 0x800
# Others need a table as large as their file asks for (LZMA: up to 4 GB).
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on damaged archives: its own errors, those of the unpackers, and those of its arithmetic.
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError)
LOCAL_HEADER = 30


@dataclass(frozen=True)
class Member:
    """One entry: its place in the archive's list (names may repeat), its name with `/`, its unpacked size in bytes."""

    index: int
    name: str
    size: int


@dataclass(frozen=True)
class Refusal:
    name: str
    code: str
    reason: str

    def to_dict(self) -> dict[str, str]:
        return {"filename": self.name, "reason": self.reason, "code": self.code}


@dataclass
class Contents:
    """What an archive has: pictures in its order, caption files and metadata by name, and what is left out."""

    pictures: list[Member] = field(default_factory=list)
    captions: dict[str, Member] = field(default_factory=dict)
    metadata: list[Member] = field(default_factory=list)
    about: Member | None = None
    refused: list[Refusal] = field(default_factory=list)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open. Invalid: it is none, it is damaged, or its list alone is larger than any honest one."""
    try:
        _check_directory(path)
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        message = "This is no ZIP file, or it was cut off. Make it again, then import the new one."
        raise Invalid("not_a_zip", message) from error
    with archive:
        yield archive


def _check_directory(path: Path) -> None:
    """zipfile reads a list of any size. Its own reader of the archive's end is asked, so that both see one size."""
    with path.open("rb") as file:
        end: Any = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end and end[5] > MAX_DIRECTORY:
        raise _too_many()


def inspect(archive: zipfile.ZipFile) -> Contents:
    """Sorts the entries. Invalid: the archive was made to do harm, or holds more than one import may."""
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise _too_many()
    if sum(info.file_size for info in infos) > MAX_BYTES:
        message = f"Unpacked it would be more than {MAX_BYTES >> 30} GB. Split it into several archives."
        raise Invalid("archive_too_large", message, status=413)
    _refuse_overlaps(infos)
    contents, seen = Contents(), set[str]()
    for index, info in enumerate(infos):
        name = entry_name(info)
        _refuse_harm(info, name)
        if not (info.is_dir() or name.endswith("/") or _is_junk(name)):
            _sort(contents, info, Member(index, name, info.file_size), seen)
    return contents


def entry_name(info: zipfile.ZipInfo) -> str:
    """The name as its maker meant it: many tools write UTF-8 without saying so, and old Windows ones backslashes."""
    name = info.orig_filename
    if not info.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _refuse_overlaps(infos: list[zipfile.ZipInfo]) -> None:
    """Entries that share their packed bytes are how a small file unpacks to petabytes without a bad ratio."""
    end = 0
    for info in sorted(infos, key=lambda each: each.header_offset):
        if info.header_offset < end:
            raise Invalid(
                "hostile_archive", "Entries of this archive overlap, which honest ones never do. Not imported."
            )
        end = info.header_offset + LOCAL_HEADER + info.compress_size


def _refuse_harm(info: zipfile.ZipInfo, name: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise _hostile(name, "points outside of the archive")
    if "\0" in name:
        raise _hostile(name, "hides a part of its name")
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _hostile(name, "is a link or a device instead of a file")
    if info.file_size > RATIO_FLOOR and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise _hostile(name, f"unpacks to more than {MAX_RATIO} times its size")


def _hostile(name: str, why: str) -> Invalid:
    return Invalid("hostile_archive", f"“{shown(name)}” {why}. Nothing of this archive was imported.")


def _too_many() -> Invalid:
    message = f"An archive may have at most {MAX_ENTRIES:,} entries. Split it into several."
    return Invalid("too_many_entries", message, status=413)


def shown(name: str) -> str:
    """An entry's name for people: one printable line of at most 200 characters."""
    return "".join(char if char.isprintable() else "�" for char in name)[:200]


def _is_junk(name: str) -> bool:
    """What desktops leave in folders, and our own list of what is not there; nobody misses it."""
    return name == MISSING or any(part in JUNK or part.startswith(".") for part in name.split("/"))


def _sort(contents: Contents, info: zipfile.ZipInfo, member: Member, seen: set[str]) -> None:
    if (refusal := _refusal(info, member, seen)) is not None:
        contents.refused.append(refusal)
        return
    seen.add(member.name)
    base = member.name.rpartition("/")[2]
    suffix = extension(member.name)
    if base == METADATA:
        contents.metadata.append(member)
    elif member.name == ABOUT:
        contents.about = member
    elif suffix in PICTURES:
        contents.pictures.append(member)
    else:
        contents.captions[member.name] = member


def extension(name: str) -> str:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return suffix.lower() if dot and stem else ""


def _refusal(info: zipfile.ZipInfo, member: Member, seen: set[str]) -> Refusal | None:
    suffix, name = extension(member.name), member.name
    found: tuple[str, str] | None = None
    if name in seen:
        found = "same_name", "Another entry of this archive has the same name; the first one was taken."
    elif info.flag_bits & ENCRYPTED:
        found = "encrypted", "It is protected by a password. Make the archive again without one."
    elif info.compress_type not in READABLE:
        found = "unknown_packing", "It is packed in a way that is not read here. Make an ordinary ZIP (deflate)."
    elif suffix in ARCHIVES:
        found = "nested_archive", "An archive inside an archive is not opened. Unpack it and import what is in it."
    elif suffix in CAPTIONS | {"jsonl"} or name == ABOUT:
        found = _text_refusal(member)
    elif suffix not in PICTURES:
        found = "not_an_image", "Only pictures, captions in .txt files and metadata.jsonl are read."
    elif member.size > settings.PHOTO_MAX_BYTES:
        found = "file_too_large", photos.too_large().message
    return Refusal(shown(name), *found) if found else None


def _text_refusal(member: Member) -> tuple[str, str] | None:
    base = member.name.rpartition("/")[2]
    if extension(member.name) == "jsonl" and base != METADATA:
        return "not_an_image", f"Of such files only those named {METADATA} are read."
    cap = MAX_METADATA if base == METADATA else MAX_TEXT
    if member.size > cap:
        return "file_too_large", f"It is larger than {cap >> 10:,} kB, more than such a text can mean."
    return None


def read(archive: zipfile.ZipFile, member: Member) -> bytes:
    """A small member's bytes, at most what its entry declares. Invalid: damaged."""
    try:
        with archive.open(archive.infolist()[member.index]) as file:
            return file.read()
    except BROKEN as error:
        raise Invalid("broken_entry", "Its bytes are damaged.") from error
