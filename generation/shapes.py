"""Shapes a person picks by name, as exact sizes a base can draw. Knows no request."""

from dataclasses import dataclass

from isengard.engine.catalog import Base

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


@dataclass(frozen=True)
class Shape:
    """`ratio` and `name` as shown; width and height in pixels."""

    ratio: str
    name: str
    width: int
    height: int


def shapes_for(base: Base) -> tuple[Shape, ...]:
    """FLUX draws seven ratios; Pocket has only learned squares, of the sizes its weights name."""
    if base.key == "pocket":
        return tuple(Shape("1:1", f"Square {size}", size, size) for size in base.sizes)
    return tuple(Shape(*row) for row in FLUX)
