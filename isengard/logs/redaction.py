"""Takes secrets out of whatever is about to be written: by the shape of a value and by the name of its key.

Pure functions on strings and plain data; knows neither logging nor Django."""

import re
from itertools import pairwise
from typing import Any

MASK = "***REDACTED***"
MAX_DEPTH = 10
MAX_TEXT = 10_000

# Order matters: whole credentials first, then `name=value` in text and in JSON.
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]+"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*"), f"jwt:{MASK}"),
    (re.compile(r"(?i)\b(authorization\W{1,3}(?:basic|digest|token))\s+[^\s\"',}]+"), rf"\1 {MASK}"),
    (re.compile(r"\bhf_(?!(?:hub|transfer|xet|token)(?![A-Za-z0-9]))[A-Za-z0-9]+"), f"hf_{MASK}"),
    (re.compile(r"\bsk-[A-Za-z0-9][A-Za-z0-9_-]{5,}"), f"sk-{MASK}"),
    (re.compile(r"\b(gh[pousr]_|github_pat_)[A-Za-z0-9_]+"), rf"\1{MASK}"),
    (re.compile(r"\brpa_[A-Za-z0-9]+"), f"rpa_{MASK}"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#\"']*@"), r"\1***@"),
    (re.compile(r"/(?:Users|home)/[^/\s\"']+(?=/|\b)"), "/[HOME]"),
    (
        re.compile(
            r"(?i)\b([\w-]*(?:token|password|passwd|api[_-]?key|secret(?:[_-]access)?(?:[_-]key)?|access[_-]key))=[^&\s\"']+"
        ),
        r"\1=***",
    ),
    (
        re.compile(
            r"(?i)([\"'](?:[\w-]*[_-])?(?:password|token|api[_-]?key|secret)[\"']\s*:\s*)([\"'])(?:\\.|(?!\2).)*\2"
        ),
        r"\1\2***\2",
    ),
)

SENSITIVE_KEYS = frozenset(
    {
        "authorization", "cookie", "cookies", "set-cookie", "x-api-key", "api_key", "apikey", "token", "password",
        "passwd", "secret", "credential", "credentials", "auth", "bearer", "hf_token", "runpod_api_key", "github_token",
        "cloudflare_api_token", "access_key", "private_key", "secret_key",
    }
)  # fmt: skip

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SENSITIVE = frozenset(" ".join(_WORDS.findall(key)) for key in SENSITIVE_KEYS)


def is_sensitive(key: str) -> bool:
    """True when whole words of the key are in SENSITIVE_KEYS: `hfToken`, `X-API-Key`; not `tokens`, `author`."""
    words = [word.lower() for word in _WORDS.findall(key)]
    pairs = {" ".join(pair) for pair in pairwise(words)}
    return bool(pairs & _SENSITIVE or set(words) & _SENSITIVE)


def redact_text(text: str) -> str:
    """`text` without secrets, at most MAX_TEXT characters of it."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any, depth: int = 0) -> Any:
    """A copy of plain data without secrets; lists item by item. Deeper than MAX_DEPTH: `{"_truncated": true}`."""
    if isinstance(value, str):
        return redact_text(value)
    if not isinstance(value, dict | list | tuple):
        return value
    if depth >= MAX_DEPTH:
        return {"_truncated": True}
    if isinstance(value, dict):
        return {key: _member(str(key), item, depth + 1) for key, item in value.items()}
    return [redact(item, depth + 1) for item in value]


def _member(key: str, value: Any, depth: int) -> Any:
    if not is_sensitive(key) or value is None or isinstance(value, bool):
        return redact(value, depth)
    if isinstance(value, dict | list | tuple):
        return MASK if value else value
    if isinstance(value, int | float):
        # `token_count: 5` is no secret, `password: 1234` is one.
        return MASK if is_sensitive(_WORDS.findall(key)[-1]) else value
    return _own_form(key, value)


def _own_form(key: str, value: Any) -> str:
    """A token whose whole text has a known shape keeps that shape's mask (`hf_***…`), so that one sees which it was."""
    if isinstance(value, str) and "token" in key.lower():
        for pattern, replacement in PATTERNS:
            if pattern.fullmatch(value):
                return pattern.sub(replacement, value)
    return MASK
