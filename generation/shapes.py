"""Shapes and qualities a person picks by name, as exact sizes and steps of a base. Knows no request."""

from dataclasses import dataclass

from isengard.engine.catalog import Base
from isengard.errors import Invalid

# Ratio and size at about one megapixel; every side is a multiple of 16, so that nothing is cut silently.
FLUX = (
    ("1:1", "Square", 1024, 1024),
    ("4:5", "Portrait", 896, 1120),
    ("3:4", "Portrait", 896, 1152),
    ("9:16", "Tall", 768, 1344),
    ("5:4", "Landscape", 1120, 896),
    ("4:3", "Landscape", 1152, 896),
    ("16:9", "Wide", 1344, 768),
)
SQUARE = (("1:1", "Square"),)


@dataclass(frozen=True)
class Quality:
    """`scale` of the sides and `effort` of the steps, against the base's own."""

    key: str
    label: str
    scale: float
    effort: float


QUALITIES = (
    Quality("draft", "Draft", 0.75, 0.6),
    Quality("standard", "Standard", 1.0, 1.0),
    Quality("high", "High", 1.25, 1.5),
)
USUAL = "standard"


@dataclass(frozen=True)
class Shape:
    """`ratio` and `name` as shown; width and height in pixels."""

    ratio: str
    name: str
    width: int
    height: int


def quality(key: str) -> Quality:
    """Invalid: no such quality."""
    for one in QUALITIES:
        if one.key == key:
            return one
    raise Invalid("bad_param", f"quality is {key!r}, but must be one of {', '.join(one.key for one in QUALITIES)}.")


def shapes_for(base: Base, tier: str = USUAL) -> tuple[Shape, ...]:
    """FLUX draws seven ratios; Pocket has only learned squares, of sizes its weights name. Invalid: no such tier."""
    wanted = quality(tier)
    if base.key == "pocket":
        return tuple(Shape(ratio, name, side, side) for ratio, name in SQUARE for side in (_learned(base, wanted),))
    return tuple(
        Shape(ratio, name, _side(base, width * wanted.scale), _side(base, height * wanted.scale))
        for ratio, name, width, height in FLUX
    )


def _learned(base: Base, wanted: Quality) -> int:
    """The learned size next to the wanted one; beyond the largest, more steps alone must do."""
    return min(base.sizes, key=lambda side: abs(side - base.native_size * wanted.scale))


def _side(base: Base, pixels: float) -> int:
    return round(pixels / base.multiple) * base.multiple


def size_of(base: Base, ratio: str, tier: str = USUAL) -> Shape:
    """Invalid: the base does not draw that ratio, or there is no such tier."""
    offered = shapes_for(base, tier)
    for shape in offered:
        if shape.ratio == ratio:
            return shape
    ratios = ", ".join(shape.ratio for shape in offered)
    raise Invalid("bad_param", f"aspect_ratio is {ratio!r}, but {base.label} draws {ratios}.")


def steps_of(base: Base, tier: str = USUAL) -> int:
    """Denoising steps of a tier. Invalid: no such tier."""
    return max(round(base.steps * quality(tier).effort), 1)


def found(base: Base, width: int, height: int) -> tuple[str, str]:
    """The ratio and quality that mean this size, "" and the usual one where none does; the usual one is tried first."""
    for tier in sorted(QUALITIES, key=lambda one: one.key != USUAL):
        for shape in shapes_for(base, tier.key):
            if (shape.width, shape.height) == (width, height):
                return shape.ratio, tier.key
    return "", USUAL
