"""The safetensors header of a file that anybody may have made: checked before a tensor is read. No torch, no numpy.

Knows the container alone: what the tensors mean is for lora_keys.py."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isengard.engine.errors import EngineError

LONGEST_HEADER = 16 << 20
MOST_TENSORS = 20_000
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}
# What torch.save writes (a ZIP, or a bare pickle before 2020), and what other programs keep weights in.
FOREIGN = (
    ((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "lora_pickle"),
    ((b"GGUF",), "not_a_lora"),
)
PICKLE = (
    "This is a file of Python's pickle format (.pt, .ckpt, .bin). Opening one runs whatever program its maker put in, "
    "so it is not opened here. Ask for the .safetensors version, or convert it where you trust it."
)


@dataclass(frozen=True)
class Entry:
    """A tensor: its number format, its shape, and where its bytes lie in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """Tensors by name in the file's own order, the free texts, and the position of the first tensor."""

    tensors: dict[str, Entry]
    metadata: dict[str, str]
    start: int


def bad(why: str) -> EngineError:
    return EngineError("not_a_lora", f"This is not a usable LoRA file: {why}. Choose a .safetensors LoRA of FLUX.1.")


def read(path: Path) -> Header:
    """EngineError not_a_lora, lora_pickle: a sentence that says what is wrong with the file."""
    raw, start = _json(path)
    metadata = _metadata(raw.pop("__metadata__", {}))
    return Header(_entries(raw, start, path.stat().st_size), metadata, start)


def _json(path: Path) -> tuple[dict[str, Any], int]:
    """The header and where the tensors begin."""
    try:
        size = path.stat().st_size
        if not size:
            raise bad("it is empty (0 bytes)")
        with path.open("rb") as file:
            start = file.read(8)
            _refuse_foreign(start)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(LONGEST_HEADER, size - 8):
                raise bad("it has no safetensors header, or is cut off")
            header = json.loads(file.read(length))
    except OSError:
        raise bad("it cannot be read") from None
    except (ValueError, RecursionError):
        raise bad("its header is damaged") from None
    if not isinstance(header, dict):
        raise bad("its header is damaged")
    return header, 8 + length


def _refuse_foreign(start: bytes) -> None:
    for beginnings, code in FOREIGN:
        if start.startswith(beginnings):
            raise EngineError(code, PICKLE) if code == "lora_pickle" else bad("it is a GGUF model")


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise bad("its metadata is not text")
    return value


def _entries(header: dict[str, Any], start: int, size: int) -> dict[str, Entry]:
    """Every tensor lies inside the file, holds what its shape says, overlaps no other and leaves no gap."""
    if not 1 <= len(header) <= MOST_TENSORS:
        raise bad(f"it holds {len(header)} tensors, where 1 to {MOST_TENSORS} are possible")
    entries = {name: _entry(name, told, start) for name, told in header.items()}
    end = start
    for begin, after in sorted((entry.begin, entry.end) for entry in entries.values()):
        if begin != end:
            raise bad("its tensors overlap or leave gaps")
        end = after
    if end != size:
        raise bad("it is cut off" if end > size else "it holds more bytes than its header names")
    return entries


def _entry(name: str, told: Any, start: int) -> Entry:
    try:
        dtype, shape, (begin, end) = told["dtype"], told["shape"], told["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise bad(f"the entry of {name[:80]} is damaged") from None
    whole = [*shape, begin, end] if isinstance(shape, list) else [None]
    if not all(type(number) is int and 0 <= number < 1 << 48 for number in whole) or len(shape) > 4:
        raise bad(f"the shape of {name[:80]} is impossible")
    if 0 in shape:
        raise bad(f"{name[:80]} is empty (rank 0)")
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise bad(f"{name[:80]} is stored as {str(dtype)[:20]}; F32, F16 and BF16 are read")
    if end - begin != math.prod(shape) * BYTES[dtype]:
        raise bad(f"the size of {name[:80]} is not that of its shape")
    return Entry(dtype, tuple(shape), start + begin, start + end)
