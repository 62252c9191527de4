"""Unpacks chosen pictures of a ZIP, one by one, and has each decoded by a confined child. No torch, no Django.

Which entries are wanted was decided before, from the archive's list; this reads exactly those and never more bytes than
the list declares. What becomes of a clean picture is the receiver's: it finds the file named in the event."""

import hashlib
import os
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from isengard.engine import confined
from isengard.engine.errors import EngineError
from isengard.engine.events import Event, Sink, Stop
from isengard.engine.specs import UnpackMember, UnpackSpec

CHUNK = 1 << 20
# What zipfile raises on damaged entries: its own errors, those of the unpackers, and those of its arithmetic.
BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError)
DAMAGED = {"code": "broken_entry", "reason": "Its bytes in the archive are damaged. Make the archive again."}
EMPTY = {"code": "empty_file", "reason": "The file is empty (0 bytes). Export it again."}
# Each child may take a processor and, for the largest photos, 700 MB.
WORKERS = min(2, os.cpu_count() or 1)


def unpack(spec: UnpackSpec, sink: Sink, stop: Stop) -> Event:
    """An `output` event per member, in order: {index, path, sha256, size_bytes, width, …} or {index, code, reason}.

    `mask_path` beside it where the member has a mask that could be read. The fields of `result`: {members, seconds,
    stopped}. EngineError archive_gone: there is no archive to read any more."""
    started = time.monotonic()
    out_dir = Path(spec.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    sink("stage", stage="unpacking", message="Reading the archive")
    done = 0
    try:
        with zipfile.ZipFile(spec.archive) as archive:
            for event in _pictures(archive, spec, out_dir):
                sink("output", **event)
                done += 1
                sink("progress", step=spec.done + done, total=spec.done + len(spec.members))
                if stop():
                    break
    except FileNotFoundError as error:
        raise EngineError("archive_gone", "The archive is no longer there. Import it again.") from error
    stopped = done < len(spec.members)
    return {"members": done, "seconds": round(time.monotonic() - started, 3), "stopped": stopped}


def _pictures(archive: zipfile.ZipFile, spec: UnpackSpec, out_dir: Path) -> Iterator[Event]:
    """Decoded in order, a few ahead of the one that is waited for."""
    waiting: deque[Future[Event]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for member in spec.members:
            waiting.append(pool.submit(_picture, archive, member, spec, out_dir))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _picture(archive: zipfile.ZipFile, member: UnpackMember, spec: UnpackSpec, out_dir: Path) -> Event:
    answer = _decoded(archive, member.entry, out_dir / f"{member.index}", spec)
    if "code" in answer or member.mask is None:
        return {"index": member.index, **answer}
    mask = _decoded(archive, member.mask, out_dir / f"{member.index}-mask", spec, grey=True)
    extra = {"mask_problem": mask["reason"]} if "code" in mask else {"mask_path": mask["path"]}
    if "mask_path" in extra and (mask["width"], mask["height"]) != (answer["width"], answer["height"]):
        extra = {"mask_problem": "It is not as large as its photo."}
    return {"index": member.index, **answer, **extra}


def _decoded(
    archive: zipfile.ZipFile, entry: int, target: Path, spec: UnpackSpec, *, grey: bool = False
) -> dict[str, Any]:
    """One entry as a clean picture at `target`; its packed form lies on disk only while it is decoded."""
    packed = target.with_suffix(".packed")
    try:
        digest, size = _copied(archive, entry, packed)
        if size == 0:
            return dict(EMPTY)
        least = 1 if grey else spec.min_side
        answer = confined.decode(packed, target, min_side=least, largest_file=spec.largest_file, grey=grey)
    except BROKEN:
        return dict(DAMAGED)
    finally:
        packed.unlink(missing_ok=True)
    if "code" in answer:
        return answer
    return {**answer, "path": str(target), "sha256": digest, "size_bytes": target.stat().st_size}


def _copied(archive: zipfile.ZipFile, entry: int, target: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with archive.open(archive.infolist()[entry]) as source, target.open("wb") as file:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest(), size
