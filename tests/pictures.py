"""Pictures made on the spot for tests: real files of every format, by Pillow."""

import io
from typing import Any

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()


def picture(width: int = 96, height: int = 64, color: str = "#b06030", mode: str = "RGB") -> Image.Image:
    """A gradient with a coloured corner, so that a rotation or a mirror shows."""
    image = Image.linear_gradient("L").resize((width, height)).convert(mode)
    image.paste(Image.new("RGB", (max(width // 4, 1), max(height // 4, 1)), color).convert(mode), (0, 0))
    return image


def encoded(image: Image.Image | None = None, format: str = "PNG", **options: Any) -> bytes:
    """`image` (or a default picture) as a file's bytes."""
    buffer = io.BytesIO()
    (image or picture()).save(buffer, format, **options)
    return buffer.getvalue()
