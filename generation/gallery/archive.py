"""Writes chosen pictures as a ZIP while it is being sent: no temporary archive, one picture in memory. Recipes stay in
the PNGs or are left out, without touching a pixel. Knows no request; the caller sends the chunks."""

import struct
import zipfile
from collections.abc import Generator, Iterator

from django.db.models import QuerySet

from characters.transfer.exporting import CHUNK, Pipe
from generation.gallery import query
from generation.models import Output
from isengard import storage
from isengard.errors import Invalid

# Rows read at once.
ROWS = 200
MISSING = "missing.txt"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What a PNG says about itself in words, and when it was made; everything else is the picture.
TOLD = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"})


def chunks(outputs: QuerySet[Output], *, recipes: bool) -> Generator[bytes, None, None]:
    """The archive's bytes, pictures in the order they were made; one whose file is gone is named in missing.txt.

    Invalid, at the first chunk: there is nothing to pack."""
    keys = sorted(outputs.order_by().values_list("pk", flat=True))
    if not keys:
        raise Invalid("nothing_chosen", "None of these pictures is there any more.")
    return _written(keys, recipes)


def _written(keys: list[int], recipes: bool) -> Generator[bytes, None, None]:
    pipe, missing = Pipe(), list[str]()
    # zipfile takes anything with write and flush, its types want a whole file.
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for output in _rows(keys):
            data = _bytes(output, recipes)
            if data is None:
                missing.append(entry_name(output))
                continue
            archive.writestr(entry_name(output), data)
            if pipe.size >= CHUNK:
                yield pipe.take()
        if missing:
            archive.writestr(MISSING, "".join(f"{name}\n" for name in missing))
    yield pipe.take()


def _rows(keys: list[int]) -> Iterator[Output]:
    """A few hundred at a time, so that no cursor stays open however slowly the archive is taken."""
    for start in range(0, len(keys), ROWS):
        yield from (
            Output.objects.filter(pk__in=keys[start : start + ROWS]).select_related(*query.RELATED).order_by("pk")
        )


def entry_name(output: Output) -> str:
    """Who, request, place and seed: unique, and sorted as they were made."""
    whose = output.generation.character
    folder = "".join(char if char.isalnum() or char in "-_" else "_" for char in whose.name) if whose else "pictures"
    return f"{folder}/{output.generation.job.public_id}-{output.index:02d}-seed{output.seed}{output.suffix}"


def _bytes(output: Output, recipes: bool) -> bytes | None:
    try:
        data = storage.absolute(output.file).read_bytes()
    except FileNotFoundError:
        return None
    return data if recipes else without_recipe(data)


def without_recipe(data: bytes) -> bytes:
    """The same PNG without its words: parts are dropped whole, so every pixel stays as it was. What is no PNG, or
    breaks off, comes back as it is."""
    if not data.startswith(SIGNATURE):
        return data
    kept, at = [SIGNATURE], len(SIGNATURE)
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        end = at + 12 + size
        if end > len(data):
            break
        if data[at + 4 : at + 8] not in TOLD:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])
