"""The pictures a tool is given, read as what they are meant to be, or refused with a sentence. No torch."""

import math
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from isengard.engine.errors import EngineError

# Of the sides' ratios: a mask that was drawn on a smaller copy of the picture still fits it.
SAME_SHAPE = 0.02


def picture(inputs: dict[str, str], name: str = "source") -> Image.Image:
    """An upright RGB picture; what is transparent becomes white. EngineError input_missing, input_unreadable."""
    image = _opened(inputs, name)
    if "A" in image.getbands() or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def mask(inputs: dict[str, str], size: tuple[int, int]) -> Image.Image:
    """A grey mask of the picture's size, white where it changes; what is transparent counts as black.

    EngineError: input_missing, input_unreadable, mask_shape, mask_empty."""
    image = _opened(inputs, "mask")
    if "A" in image.getbands() or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    grey = image.convert("L")
    if grey.size != size:
        _require_shape(grey.size, size)
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    if not grey.getbbox():
        raise EngineError("mask_empty", "Nothing is painted on the mask. Paint over what is to change.")
    return grey


def _require_shape(mask: tuple[int, int], size: tuple[int, int]) -> None:
    if abs(math.log(mask[0] / mask[1] * size[1] / size[0])) > SAME_SHAPE:
        text = f"The mask is {mask[0]} × {mask[1]}, but the picture is {size[0]} × {size[1]}. Paint it on this picture."
        raise EngineError("mask_shape", text)


def _opened(inputs: dict[str, str], name: str) -> Image.Image:
    if not inputs.get(name):
        raise EngineError("input_missing", f"This needs a picture to work on: {name} is not given.")
    try:
        with Image.open(Path(inputs[name])) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise EngineError("input_missing", f"The file of the {name} is gone. Choose the picture again.") from None
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        text = f"The {name} cannot be read as a picture. Choose another file."
        raise EngineError("input_unreadable", text) from None
