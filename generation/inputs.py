"""Pictures and masks that tools are given: kept once by their content, the size in the name; read by many requests.

Knows files and the tools' facts; no request. What no request names any more is swept away after a day."""

import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from PIL import Image

from characters import photos
from generation.models import Generation, Output
from isengard import storage
from isengard.engine import catalog, confined, tools
from isengard.engine.guides import found
from isengard.errors import Invalid, NotFound

FOLDER = "inputs"
NAME = re.compile(r"[0-9a-f]{64}-(\d{1,6})x(\d{1,6})\.(png|jpg)")
UNUSED_SECONDS = 24 * 3600
GUIDES = ("control", "reference")
# A mask may be smaller than its picture, but not of another shape.
SAME_SHAPE = 0.02
WHITE = 128


def kinds(tool: str) -> dict[str, tools.Input]:
    """What a request of this tool may be given, the guides included, by name."""
    guides = {one.name: one for one in (found.CONTROL, found.REFERENCE)}
    return {one.name: one for one in tools.get(tool).inputs} | guides


def keep(file: photos.Readable, *, grey: bool = False) -> str:
    """The key of an uploaded picture, clean and upright. Invalid: no picture, too large. Unavailable: no room."""
    photos.require_space()
    with photos.received(file) as (path, _):
        clean = path.with_name("clean")
        largest = photos.LARGEST_CLEAN * settings.PHOTO_MAX_BYTES
        answer = confined.decode(path, clean, min_side=1, largest_file=largest, grey=grey)
        if "code" in answer:
            raise Invalid(answer["code"], answer["reason"])
        return _kept(clean, answer["width"], answer["height"], answer["extension"])


def boxed(source: str, box: tuple[float, float, float, float], before: str = "") -> str:
    """The key of a mask for the picture `source` that is white in a box (left, top, width, height in percent of the
    picture), beside what was white `before`. Invalid: the box holds nothing of the picture."""
    width, height = size_of(source)
    left, top, right, bottom = (
        round(min(max(share, 0.0), 100.0) * side / 100)
        for share, side in zip((*box[:2], box[0] + box[2], box[1] + box[3]), (width, height) * 2, strict=True)
    )
    if right <= left or bottom <= top:
        raise Invalid("bad_box", "The box is empty. Give it a width and a height, and begin inside of the picture.")
    mask = Image.new("L", (width, height))
    if before and size_of(before) == (width, height):
        with Image.open(path_of(before)) as earlier:
            mask.paste(earlier.convert("L"))
    mask.paste(255, (left, top, right, bottom))
    with tempfile.NamedTemporaryFile() as file:
        mask.save(file, "PNG")
        file.flush()
        return _kept(Path(file.name), width, height, "png")


def of_output(output: Output) -> str:
    """The key of a picture that was drawn here. NotFound: its file is gone."""
    path = storage.absolute(output.file)
    if not path.is_file():
        raise NotFound("not_found", "The file of this picture is gone.")
    with Image.open(path) as image:
        width, height = image.size
    return _kept(path, width, height, "png")


def _kept(path: Path, width: int, height: int, extension: str) -> str:
    name = f"{storage.sha256(path)}-{width}x{height}.{extension}"
    target = storage.absolute(f"{FOLDER}/{name}")
    if not target.is_file():
        with storage.replacing(target) as part:
            shutil.copyfile(path, part)
    # Young again, so that the sweep leaves it to the request that is being written.
    target.touch()
    return name


def exists(key: str) -> bool:
    return NAME.fullmatch(key) is not None and storage.absolute(f"{FOLDER}/{key}").is_file()


def path_of(key: str) -> Path:
    """The file behind a key. Invalid: no such name, or it was swept away."""
    path = storage.absolute(f"{FOLDER}/{key}") if NAME.fullmatch(key) else None
    if path is None or not path.is_file():
        raise Invalid("input_missing", "A picture that this was to work on is gone. Choose it again.")
    return path


def size_of(key: str) -> tuple[int, int]:
    """Width and height in pixels. Invalid: no such name."""
    if (match := NAME.fullmatch(key)) is None:
        raise Invalid("input_missing", "A picture that this was to work on is gone. Choose it again.")
    return int(match[1]), int(match[2])


def lost(tool: str, given: dict[str, str]) -> list[str]:
    """In words, what a request was given and is no longer on the disk."""
    known = kinds(tool)
    return [f"The {known[name].label.lower()} of this request" for name, key in given.items() if not exists(key)]


def require(tool: str, given: dict[str, str]) -> None:
    """Invalid: a name that the tool does not know, one that it needs and has not, or a mask that does not fit."""
    known = kinds(tool)
    for name, key in given.items():
        if name not in known:
            raise Invalid("bad_input", f"{tools.get(tool).label} takes no {name}. It takes {', '.join(known)}.")
        path_of(key)
    for name, one in known.items():
        if one.required and name not in given and name not in GUIDES:
            raise Invalid("input_missing", f"{tools.get(tool).label} needs one more thing. {one.label}: {one.help}")
    if "mask" in given and "source" in given:
        _require_mask(given["mask"], size_of(given["source"]))


def _require_mask(key: str, source: tuple[int, int]) -> None:
    width, height = size_of(key)
    if abs(width * source[1] / (height * source[0]) - 1) > SAME_SHAPE:
        raise Invalid(
            "mask_size",
            f"The mask is {width} × {height} pixels, but the picture is {source[0]} × {source[1]}. Paint it on this "
            "picture, or export it in its size.",
        )
    with Image.open(path_of(key)) as mask:
        brightest = mask.convert("L").getextrema()[1]
    if not isinstance(brightest, int | float) or brightest < WHITE:
        raise Invalid("mask_empty", "Nothing is painted on the mask. Paint over what is to change.")


def files(generation: Generation) -> dict[str, str]:
    """Absolute paths for the engine: what the person gave, and the models that this machine adds. EngineError."""
    models, given = settings.MODELS_DIR, {name: str(path_of(key)) for name, key in generation.inputs.items()}
    base = catalog.get(generation.base)
    extra = found.files(given, generation.params, base, models) if set(given) & set(GUIDES) else {}
    return {**given, **tools.files(generation.tool, models), **extra}


def sweep(now: float | None = None) -> int:
    """Deletes what no request names and nobody touched for a day; says how many files."""
    old = [path for path in storage.absolute(FOLDER).glob("*") if _age(path, now) > UNUSED_SECONDS]
    used: set[Any] = set()
    if old:
        rows = Generation.objects.exclude(inputs={}).values_list("inputs", flat=True)
        used = {key for row in rows for key in row.values()}
    gone = [path for path in old if path.name not in used]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _age(path: Path, now: float | None) -> float:
    try:
        return (time.time() if now is None else now) - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
