"""Decodes one untrusted picture in a process of its own: `python -I decoding.py SOURCE TARGET '{"limits"}'`.

Run as a program by confined.py, never imported by the web process: it is the only code that hands a stranger's bytes
to an image library. Limits its own processor time, memory and file size first. Answers with one JSON line, either
{"extension", "content_type", "width", "height", "color"}, {"code", "reason"}, or {"errno"} of a disk that is full.
Knows neither Django nor the studio."""

import errno
import json
import re
import resource
import shutil
import sys
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "HEIF", "AVIF")
# Stored as JPEG because they come from a lossy camera file anyway; the rest keeps every pixel as PNG.
LOSSY = ("JPEG", "MPO", "HEIF", "AVIF")
# What these files begin with: one that does and still cannot be opened is damaged, not something else.
SIGNATURE = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|....ftyp(?:hei|hev|mif|msf|avi)", re.DOTALL)
# What the decoders raise on mutated files (found by 3,000 mutations of all six formats).
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, RuntimeError)
# What we store; 4:4:4, because a face's colours are not to be halved twice.
JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}
END = b"\xff\xd9"
# Inside the pixels every 0xFF is followed by 0: anything else would be another part of the file.
MARKER = re.compile(rb"\xff[^\x00]")
# The disk has no room, or the account may not have more of it.
FULL = (errno.ENOSPC, errno.EDQUOT)
CPU_SECONDS = 20
MEMORY_BYTES = 3 << 30
MAX_SIDE = 8192
MAX_PIXELS = 50_000_000


class Refused(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def confine(largest_file: int) -> None:
    """From here on: 20 s of processor, 3 GiB of addresses, no file larger than `largest_file` bytes."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def decode(source: Path, target: Path, min_side: int, grey: bool = False) -> dict[str, Any]:
    """Writes the picture of `source` to `target`: upright, sRGB, RGB, without metadata. Refused: with the reason.

    `grey`: as an 8-bit grey PNG (a mask). A file that this function wrote comes out as it went in."""
    image = _opened(source)
    kind = str(image.format)
    _check_size(image, min_side)
    lossy = kind in LOSSY or (kind == "WEBP" and b"VP8L" not in source.read_bytes()[:65536])
    clean = to_srgb(upright(_loaded(image)))
    if grey:
        lossy, clean = False, clean.convert("L")
    if kind == "JPEG" and lossy and is_ours(source.read_bytes(), image.size):
        shutil.copyfile(source, target)
    elif lossy:
        _write(clean, target, "JPEG", **JPEG)
    else:
        _write(clean, target, "PNG", compress_level=4)
    return {
        "extension": "jpg" if lossy else "png",
        "content_type": "image/jpeg" if lossy else "image/png",
        "width": clean.width,
        "height": clean.height,
        "color": dominant_color(clean),
    }


def _write(image: Image.Image, target: Path, format: str, **options: Any) -> None:
    """In one piece: on a full disk Pillow's own writing may end early without a word."""
    buffer = BytesIO()
    image.save(buffer, format, **options)
    target.write_bytes(buffer.getbuffer())


def _opened(source: Path) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    # Pillow only warns up to twice the limit; here the limit is the limit.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    pillow_heif.register_heif_opener()
    try:
        return Image.open(source, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except UnidentifiedImageError:
        if SIGNATURE.match(source.read_bytes()[:32]):
            raise _broken() from None
        raise Refused(
            "not_an_image", "This is no picture we can read. Use JPEG, PNG, WebP, HEIC, AVIF or GIF."
        ) from None
    except BROKEN:
        raise _broken() from None


def _check_size(image: Image.Image, min_side: int) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels()
    if max(width, height) > MAX_SIDE:
        reason = f"It is {width}×{height} pixels; at most {MAX_SIDE} on a side are read. Make it smaller and try again."
        raise Refused("image_too_large", reason)
    if min(width, height) < min_side:
        reason = f"It is {width}×{height} pixels; at least {min_side} on each side are needed. Use a larger photo."
        raise Refused("image_too_small", reason)


def _loaded(image: Image.Image) -> Image.Image:
    """All pixels decoded: a header alone proves nothing."""
    try:
        image.load()
    except BROKEN:
        raise _broken() from None
    return image


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says; a tag that cannot be read turns nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, OverflowError):
        return image


def to_srgb(image: Image.Image) -> Image.Image:
    """A new RGB picture in sRGB with nothing attached; transparency lies on white."""
    profile = image.info.get("icc_profile")
    converted = _by_profile(image, profile) if profile else None
    flat = _flattened(image) if converted is None else converted
    bare = Image.new("RGB", flat.size)
    bare.paste(flat)
    return bare


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """None when the profile is broken or does not fit the pixels: then the pixels are taken as they are."""
    source = image if image.mode in {"RGB", "CMYK", "L"} else _flattened(image)
    try:
        embedded = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(source, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # 16-bit grey: Pillow's own conversion would clip everything above 255 to white.
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def dominant_color(image: Image.Image) -> str:
    """The commonest of four colours as #rrggbb: what a page shows while the picture loads."""
    small = image.resize((32, 32)).quantize(4)
    index = max(range(4), key=small.histogram().__getitem__)
    red, green, blue = (small.getpalette() or [0, 0, 0])[index * 3 : index * 3 + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def is_ours(data: bytes, size: tuple[int, int]) -> bool:
    """True for a JPEG as `decode` writes it: every byte before its pixels is ours, and nothing comes after them.

    Writing it again would lose a little each time that a dataset is exported and imported."""
    header = _header(size)
    pixels_end = len(data) - len(END)
    return data.startswith(header) and data.endswith(END) and not MARKER.search(data, len(header), pixels_end)


def _header(size: tuple[int, int]) -> bytes:
    """What JPEG files of ours begin with: only the two sides differ between them."""
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", **JPEG)
    data = buffer.getvalue()
    sides, scan = data.index(b"\xff\xc0") + 5, data.index(b"\xff\xda")
    end = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])
    width, height = size
    return data[:sides] + height.to_bytes(2) + width.to_bytes(2) + data[sides + 4 : end]


def _too_many_pixels() -> Refused:
    millions = MAX_PIXELS // 1_000_000
    return Refused("too_many_pixels", f"It has more than {millions} million pixels. Make it smaller and try again.")


def _broken() -> Refused:
    return Refused("broken_image", "The file is damaged or was cut off. Export it again and upload the new file.")


def main(source: str, target: str, limits: str) -> None:
    given = json.loads(limits)
    confine(given["largest_file"])
    try:
        answer = decode(Path(source), Path(target), given["min_side"], given["grey"])
    except Refused as error:
        answer = {"code": error.code, "reason": error.reason}
    except MemoryError:
        answer = {"code": "image_too_heavy", "reason": "Decoding it takes more memory than a photo may use."}
    except OSError as error:
        if error.errno not in FULL:
            raise
        answer = {"errno": error.errno}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:4])
