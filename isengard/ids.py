"""Public ids: a short noun and random hex, e.g. `train-0123456789ab`. The only place that knows their shape."""

import re
import secrets

LENGTH = {"char": 8, "train": 12, "gen": 12, "lora": 12, "img": 12, "data": 12}
PATTERN = re.compile(r"(?:char-[0-9a-f]{8}|(?:train|gen|lora|img|data)-[0-9a-f]{12})")


def new_id(prefix: str) -> str:
    """A fresh public id; 12 hex digits are 48 random bits, 8 are 32, as the original has them. KeyError: prefix."""
    return f"{prefix}-{secrets.token_hex(LENGTH[prefix] // 2)}"


class PublicIdConverter:
    """URL converter `<id:...>`: anything that is no public id is simply not found."""

    regex = PATTERN.pattern

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
