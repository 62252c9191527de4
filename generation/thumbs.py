"""Thumbnails of drawn pictures: made beside the job as soon as a picture is stored, or by whoever first asks for one.

Knows files only; which pictures need one is `Output.has_thumb`."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from generation.models import THUMB_SIZE, Output
from isengard import storage

# One at a time: a thumbnail must not take more than a core from what is drawn.
_making = ThreadPoolExecutor(1, "thumbnails")


def soon(output: Output) -> Future[str] | None:
    """Has it made while the job goes on; None where the picture needs none. A worker that dies before loses nothing."""
    return _making.submit(made, output) if output.has_thumb else None


def made(output: Output) -> str:
    """The storage key of what a tile shows, made now where it is not there. OSError: neither is the picture."""
    target = storage.absolute(output.thumb)
    if output.has_thumb and not target.is_file():
        make_thumb(storage.absolute(output.file), target)
    return output.thumb


def make_thumb(picture: Path, target: Path) -> None:
    """A WebP with a longer side of 512 px; a tiny picture is enlarged to it."""
    with Image.open(picture) as image, storage.replacing(target) as part:
        scale = THUMB_SIZE / max(image.size)
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        image.resize(size, Image.Resampling.LANCZOS).save(part, "WEBP", quality=82)
