"""Parts of a file as a request names them (RFC 9110, one range in bytes). Knows no file and no request."""

import re
from dataclasses import dataclass

ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Part:
    """From `start` on, `length` bytes, of `size` altogether."""

    start: int
    length: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


class Unsatisfiable(ValueError):
    """The range begins behind the file's end."""


def wanted(header: str, size: int) -> Part | None:
    """The part that a Range header asks for. None: the whole, because there is no header, it names several ranges, or
    it makes no sense (then a server ignores it). Unsatisfiable: nothing of it is there."""
    told = ONE.fullmatch(header.strip())
    if told is None or told[1] == told[2] == "":
        return None
    if told[1] == "":
        length = min(int(told[2]), size)
        start = size - length
    else:
        start = int(told[1])
        last = min(int(told[2]), size - 1) if told[2] else size - 1
        if told[2] and int(told[2]) < start:
            return None
        length = last - start + 1
    if length <= 0 or start >= size:
        raise Unsatisfiable(header)
    return Part(start, length, size)
