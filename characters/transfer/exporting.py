"""Writes a dataset as a ZIP while it is being sent: no temporary archive, and one chunk of one photo in memory.

Photos are stored as they are (they are packed already). Their descriptions come last, so that they say exactly what
went in. Knows no request; the caller sends the chunks."""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO

from django.db.models import QuerySet

from characters.captions.text import training_text
from characters.models import Character, ReferenceImage
from characters.transfer.archive import MISSING
from characters.transfer.layouts import Layout, Names
from isengard import storage
from isengard.errors import Invalid

Images = QuerySet[ReferenceImage]

CHUNK = 1 << 18
# Rows read at once, with what hangs on them.
ROWS = 200
# Descriptions up to here wait in memory, beyond it on disk: about a kilobyte per photo.
MEMORY = 1 << 20


class Pipe:
    """What zipfile writes to: keeps it until the next chunk is taken. There is no way back in it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def take(self) -> bytes:
        data, self._parts, self.size = b"".join(self._parts), [], 0
        return data


def chosen(images: Images, layout: Layout) -> Images:
    """The photos of `images` that go into this layout. Invalid: none of them does."""
    found = images
    if layout.trained_only:
        found = found.exclude(split=ReferenceImage.Split.REFERENCE)
    if not found.exists():
        only = " for training (this layout has no place for others)" if layout.trained_only else ""
        raise Invalid("nothing_to_export", f"There is no photo{only} to export.")
    return found


def characters_of(images: Images) -> list[Character]:
    return list(Character.objects.filter(pk__in=images.order_by().values("character")).order_by("pk"))


def file_name(characters: list[Character], layout: str) -> str:
    """What a browser saves it as."""
    if len(characters) != 1:
        return f"dataset-{layout}.zip"
    word = "".join(char if char.isalnum() or char in "-_" else "_" for char in characters[0].name)
    return f"{word}-{layout}.zip"


def chunks(images: Images, characters: list[Character], layout: Layout) -> Generator[bytes, None, None]:
    """The archive's bytes. Photos in the order they came in; one whose file is gone is named in missing.txt."""
    with ExitStack() as stack:
        pipe, folder = Pipe(), storage.absolute("tmp")
        folder.mkdir(parents=True, exist_ok=True)
        # zipfile takes anything with write and flush, its types want a whole file.
        archive = stack.enter_context(zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED))  # type: ignore[call-overload]
        lines = stack.enter_context(tempfile.SpooledTemporaryFile(MEMORY, dir=str(folder)))
        for name, data in layout.opening(characters).items():
            archive.writestr(name, data)
        missing: list[str] = []
        for image in _rows(images):
            yield from _photo(archive, pipe, image, layout, lines, missing)
        if missing:
            archive.writestr(MISSING, "".join(f"{name}\n" for name in missing))
        if layout.metadata:
            lines.seek(0)
            yield from _entry(archive, pipe, layout.metadata, lines, None)
        archive.close()
        yield pipe.take()


def _rows(images: Images) -> Iterator[ReferenceImage]:
    """By id, a few hundred at a time, so that no cursor stays open however slowly the archive is taken."""
    found = ReferenceImage.objects.filter(pk__in=images.order_by().values("pk")).select_related("character")
    found = found.select_related("examination").prefetch_related("tags", "crops", "caption_versions").order_by("pk")
    last = 0
    while page := list(found.filter(pk__gt=last)[:ROWS]):
        yield from page
        last = page[-1].pk


def _photo(
    archive: zipfile.ZipFile, pipe: Pipe, image: ReferenceImage, layout: Layout, lines: Any, missing: list[str]
) -> Iterator[bytes]:
    digest = hashlib.sha256()
    with ExitStack() as stack:
        if (file := _opened(image.file, stack)) is None:
            missing.append(f"{image.character.public_id}/{image.name}")
            return
        names = layout.names(image)
        yield from _entry(archive, pipe, names.photo, file, digest)
        mask = _opened(image.mask, stack) if names.mask and image.mask else None
        if mask is not None:
            yield from _entry(archive, pipe, names.mask, mask, None)
        else:
            names = Names(names.photo, caption=names.caption)
    if names.caption:
        archive.writestr(names.caption, training_text(image.caption, image.character.trigger_word))
    if layout.metadata:
        line = layout.line(image, names, digest.hexdigest())
        lines.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _opened(key: str, stack: ExitStack) -> BinaryIO | None:
    """The file behind a key until `stack` ends; None when it is gone."""
    try:
        return stack.enter_context(storage.absolute(key).open("rb"))
    except FileNotFoundError:
        return None


def _entry(archive: zipfile.ZipFile, pipe: Pipe, name: str, file: Any, digest: Any) -> Iterator[bytes]:
    """One member, sent as it is read; `digest` is fed with its bytes."""
    with archive.open(name, "w", force_zip64=True) as target:
        while data := file.read(CHUNK):
            if digest is not None:
                digest.update(data)
            target.write(data)
            if pipe.size >= CHUNK:
                yield pipe.take()
