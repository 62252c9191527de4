"""Runs decoding.py in a child process of its own: the only way a stranger's picture is ever opened.

No torch, no Django. Used by the web for single uploads and by unpacking.py for archives."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("decoding.py")
WALL_SECONDS = 40
# Nothing of ours: a decoder that is taken over finds no database address and no key.
CHILD_ENV = {"LANG": "C.UTF-8"}
# Two pictures at once: each may take a processor and, at 50 million pixels, some 700 MB.
SEATS = threading.BoundedSemaphore(2)
# The decoder was stopped by its limits or crashed: whatever the file is, it is no ordinary photo.
GAVE_UP = {
    "code": "image_too_heavy",
    "reason": "It could not be decoded within the limits of a photo. Export it again.",
}


def decode(source: Path, target: Path, *, min_side: int, largest_file: int, grey: bool = False) -> dict[str, Any]:
    """Writes the clean picture of `source` to `target` (an 8-bit grey PNG where `grey`), at most `largest_file` bytes.

    {"extension", "content_type", "width", "height", "color"}, or {"code", "reason"} of a picture that is refused, for
    one because a side has fewer than `min_side` pixels. OSError: there is no room for the clean one."""
    limits = json.dumps({"min_side": min_side, "largest_file": largest_file, "grey": grey})
    argv = [sys.executable, "-I", str(PROGRAM), str(source), str(target), limits]
    with SEATS:
        try:
            child = subprocess.run(
                argv, capture_output=True, timeout=WALL_SECONDS, stdin=subprocess.DEVNULL, env=CHILD_ENV
            )
        except subprocess.TimeoutExpired:
            return dict(GAVE_UP)
    if child.returncode != 0 or not child.stdout:
        return dict(GAVE_UP)
    answer: dict[str, Any] = json.loads(child.stdout)
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]), str(target))
    return answer
