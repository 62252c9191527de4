"""What an archive says about a picture: our metadata.jsonl, Hugging Face's, and caption files beside the pictures.

One line of metadata.jsonl is one picture; `describe` writes it and `parse` reads it back. Everything read is checked:
what does not fit is left out with a sentence in `problems`. Knows the models' fields, changes no row."""

import codecs
import json
import math
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

from characters.captions.text import MAX_CAPTION
from characters.models import Crop, ReferenceImage
from isengard.errors import Invalid

MAX_VERSIONS = 20
MAX_LINE = 1 << 18
MAX_TAGS = 200
KINDS = ("main", "face", "half")
WRITERS = ("user", "template", "model", "bulk", "import")
MAKERS = ("auto", "user")
# Hugging Face calls it text; the others are what other tools write.
CAPTION_KEYS = ("text", "caption", "prompt")
DIGEST = re.compile(r"[0-9a-f]{64}")
FINDING = re.compile(r"[a-z0-9_]{1,40}")
# A NUL as JSON writes it; an even number of backslashes before it is a text that only looks like one.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
CROP_SIDES = ("x", "y", "width", "height")
# Fractions are rounded by whoever wrote them.
EDGE = 1e-6


@dataclass
class Note:
    """About one picture. `mask` is an entry's name; `sha256` that of the file, `source_sha256` of the first upload."""

    caption: str = ""
    name: str = ""
    original_name: str = ""
    sha256: str = ""
    source_sha256: str = ""
    split: str = ReferenceImage.Split.TRAIN
    made_by: str = ""
    tags: list[str] = field(default_factory=list)
    crops: list[dict[str, Any]] = field(default_factory=list)
    captions: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    mask: str = ""
    mask_by: str = ""
    problems: list[str] = field(default_factory=list)


def describe(image: ReferenceImage, file_name: str, sha256: str, mask: str) -> dict[str, Any]:
    """The line of one picture, with all that people or the studio have said about it; `mask` is the entry's name."""
    examination = getattr(image, "examination", None)
    return {
        "file_name": file_name,
        "text": image.caption,
        "name": image.name,
        "original_name": image.original_name,
        "sha256": sha256,
        "source_sha256": image.sha256,
        "split": image.split,
        "made_by": image.made_by,
        "tags": sorted(tag.name for tag in image.tags.all()),
        "crops": [_crop_line(crop) for crop in sorted(image.crops.all(), key=lambda crop: crop.kind)],
        "captions": [_version_line(version) for version in sorted(image.caption_versions.all(), key=lambda v: v.pk)],
        "ignored": list(examination.ignored) if examination else [],
        "mask": mask,
        "mask_by": image.mask_by if mask else "",
    }


def _crop_line(crop: Crop) -> dict[str, Any]:
    return {name: getattr(crop, name) for name in ("kind", *CROP_SIDES, "by", "enabled")}


def _version_line(version: Any) -> dict[str, Any]:
    return {"text": version.text, "by": version.by, "at": version.created_at.isoformat()}


def lines(file: BinaryIO, folder: str) -> Iterator[tuple[str, Note | None]]:
    """Each line as (the picture's entry name, its note); a line that cannot be read has no note.

    `folder` is where the file lies in the archive: names in it are relative to that."""
    number = 0
    while raw := file.readline(MAX_LINE):
        number += 1
        data = _object(raw)
        if data is None:
            if raw.strip():
                yield f"line {number}", None
        elif not raw.endswith(b"\n") and len(raw) == MAX_LINE:
            yield f"line {number}", None
        else:
            yield entry(folder, data.get("file_name")), parse(data, folder)


def _object(raw: bytes) -> dict[str, Any] | None:
    """A line's object; None for anything else, and for texts that no database could hold."""
    try:
        data = json.loads(raw.removeprefix(codecs.BOM_UTF8))
        # One pass in C: no text anywhere in it may hide half of a surrogate pair or a NUL.
        plain = json.dumps(data, ensure_ascii=False)
        plain.encode()
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and not NUL.search(plain) else None


def entry(folder: str, name: object) -> str:
    """The entry's name that a path in a metadata file means; "" for none."""
    if not isinstance(name, str) or not name:
        return ""
    path = posixpath.normpath(posixpath.join(folder, name.replace("\\", "/")))
    return "" if path.startswith(("/", "..")) else path


def parse(data: dict[str, Any], folder: str = "") -> Note:
    """The note of one line; whatever is missing keeps its default, whatever is wrong is told in `problems`."""
    note = Note()
    note.caption = _caption(next((data[key] for key in CAPTION_KEYS if data.get(key)), ""), note)
    for name, limit in (("name", 120), ("original_name", 255), ("made_by", 20)):
        setattr(note, name, _text(data, name, limit, note))
    note.sha256, note.source_sha256 = _digest(data, "sha256"), _digest(data, "source_sha256")
    note.split = _choice(data, "split", ReferenceImage.Split.values, note) or ReferenceImage.Split.TRAIN
    note.mask = entry(folder, data.get("mask"))
    note.mask_by = _choice(data, "mask_by", MAKERS, note) or "user"
    note.tags = [str(tag) for tag in _list(data, "tags", note)][:MAX_TAGS]
    note.ignored = [code for code in _list(data, "ignored", note) if isinstance(code, str) and FINDING.fullmatch(code)]
    note.captions = [version for item in _list(data, "captions", note) if (version := _version(item))][-MAX_VERSIONS:]
    note.crops = _crops(_list(data, "crops", note), note)
    return note


def _caption(value: object, note: Note) -> str:
    if not isinstance(value, str) or len(value) > MAX_CAPTION:
        note.problems.append(f"The caption is no text of at most {MAX_CAPTION:,} characters, so there is none.")
        return ""
    return value


def _text(data: dict[str, Any], name: str, limit: int, note: Note) -> str:
    value = data.get(name, "")
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        note.problems.append(f"“{name}” is no line of at most {limit} characters and was left out.")
        return ""
    return value


def _choice(data: dict[str, Any], name: str, known: Any, note: Note) -> str:
    value = data.get(name) or ""
    if value and value not in known:
        note.problems.append(f"“{name}” is none of {', '.join(known)} and was left out.")
        return ""
    return str(value)


def _digest(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) and DIGEST.fullmatch(value) else ""


def _list(data: dict[str, Any], name: str, note: Note) -> list[Any]:
    value = data.get(name, [])
    if isinstance(value, list):
        return value
    note.problems.append(f"“{name}” is no list and was left out.")
    return []


def _version(item: object) -> dict[str, Any] | None:
    """An earlier caption: its text, who wrote it and when; None when it is not one."""
    if not isinstance(item, dict) or not isinstance(item.get("text"), str) or len(item["text"]) > MAX_CAPTION:
        return None
    by = item.get("by")
    return {"text": item["text"], "by": by if by in WRITERS else "import", "at": _moment(item.get("at"))}


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _crops(items: list[Any], note: Note) -> list[dict[str, Any]]:
    crops = {}
    for item in items:
        crop = _crop(item)
        if crop is None:
            note.problems.append("A crop that does not lie inside its picture was left out.")
        else:
            crops[crop["kind"]] = crop
    return list(crops.values())


def _crop(item: object) -> dict[str, Any] | None:
    if not isinstance(item, dict) or item.get("kind") not in KINDS:
        return None
    sides = [item.get(side) for side in CROP_SIDES]
    if any(isinstance(side, bool) or not isinstance(side, int | float) or not math.isfinite(side) for side in sides):
        return None
    x, y, width, height = (float(side) for side in sides if side is not None)
    inside = x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= 1 + EDGE and y + height <= 1 + EDGE
    if not inside:
        return None
    by = item["by"] if item.get("by") in MAKERS else "user"
    place = dict(zip(CROP_SIDES, (x, y, width, height), strict=True))
    return {"kind": item["kind"], **place, "by": by, "enabled": item.get("enabled") is not False}


def caption_text(raw: bytes) -> str:
    """A caption file's text: UTF-16 where it says so, UTF-8, else Windows' Latin letters. Invalid: too long."""
    try:
        text = raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    text = text.strip().replace("\r\n", "\n")
    if "\0" in text:
        raise Invalid("bad_caption", "This is no text file.")
    if len(text) > MAX_CAPTION:
        raise Invalid("caption_too_long", f"A caption has at most {MAX_CAPTION:,} characters; this has {len(text):,}.")
    return text
