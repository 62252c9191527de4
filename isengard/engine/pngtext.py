"""Texts that stand behind the pixels of a PNG, where some programs and optimisers put them. Decodes no pixel.

Every file is hostile: chunks, texts and what they unpack to are bounded, and what is broken is passed over."""

import struct
import zlib
from pathlib import Path
from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Pixels of a hundred megabytes in the small chunks that some encoders write.
MOST_CHUNKS = 1 << 15
MOST_TEXTS = 64
# Of one text, packed and unpacked; a ComfyUI graph is long.
LONGEST = 1 << 20


def after_pixels(path: Path) -> dict[str, str]:
    """By keyword, the first of each; empty for a file that is no PNG. OSError: it cannot be read."""
    texts: dict[str, str] = {}
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return {}
        for kind, data in _late(file):
            found = _read(kind, data)
            if found is not None:
                texts.setdefault(*found)
    return texts


def _late(file: IO[bytes]) -> list[tuple[bytes, bytes]]:
    """Kind and content of the text chunks after the first chunk of pixels; `file` stands after the signature."""
    found: list[tuple[bytes, bytes]] = []
    behind = False
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or len(found) == MOST_TEXTS:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        behind = behind or kind == b"IDAT"
        if behind and kind in (b"tEXt", b"zTXt", b"iTXt") and length <= LONGEST:
            found.append((kind, file.read(length)))
            length = 0
        file.seek(length + 4, 1)
    return found


def _read(kind: bytes, data: bytes) -> tuple[str, str] | None:
    """Keyword and text as the PNG specification lays them out; None for what is broken."""
    key, _, rest = data.partition(b"\0")
    if not key or len(key) > 79:
        return None
    if kind == b"tEXt":
        text: bytes | None = rest
    elif kind == b"zTXt":
        text = _unpacked(rest[1:]) if rest[:1] == b"\0" else None
    else:
        text = rest[2:].split(b"\0", 2)[-1] if rest[2:].count(b"\0") >= 2 else None
        text = _unpacked(text) if text is not None and rest[:1] == b"\1" else text
    if text is None:
        return None
    return key.decode("latin-1"), text.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")


def _unpacked(data: bytes) -> bytes | None:
    """At most LONGEST bytes, whatever it would unpack to; None where it is no such stream."""
    try:
        return zlib.decompressobj().decompress(data, LONGEST)
    except zlib.error:
        return None
