"""Recipes that stand behind a PNG's pixels, as optimisers leave them, and files made to do harm that way."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from isengard.engine import pngtext, recalled

RECIPE = b"a fox in snow\nSteps: 20, Seed: 7"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def late(path: Path, *chunks: bytes) -> Path:
    """A PNG with these right before its end."""
    Image.new("RGB", (4, 4)).save(path, "PNG")
    whole = path.read_bytes()
    path.write_bytes(whole[:-12] + b"".join(chunks) + whole[-12:])
    return path


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"tEXt", b"parameters\0" + RECIPE),
        chunk(b"zTXt", b"parameters\0\0" + zlib.compress(RECIPE)),
        chunk(b"iTXt", b"parameters\0\0\0en\0Recipe\0" + RECIPE),
        chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(RECIPE)),
    ],
)
def test_a_recipe_behind_the_pixels_is_recalled(tmp_path: Path, text: bytes) -> None:
    facts = recalled.read(late(tmp_path / "late.png", text))
    assert facts is not None and (facts.prompt, facts.seed, facts.steps) == ("a fox in snow", 7, 20)


def test_what_stands_before_the_pixels_counts(tmp_path: Path) -> None:
    path = late(tmp_path / "both.png", chunk(b"tEXt", b"parameters\0" + RECIPE))
    whole, header = path.read_bytes(), 8 + 25
    early = chunk(b"tEXt", b"parameters\0a castle\nSteps: 3, Seed: 1")
    path.write_bytes(whole[:header] + early + whole[header:])
    facts = recalled.read(path)
    assert facts is not None and facts.prompt == "a castle"


def test_a_text_that_unpacks_to_a_gigabyte_is_cut(tmp_path: Path) -> None:
    bomb = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(1 << 24)))
    found = pngtext.after_pixels(late(tmp_path / "bomb.png", bomb))
    assert len(found["parameters"]) == pngtext.LONGEST


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"tEXt", b"\0nobody"),
        chunk(b"zTXt", b"key\0\0not zlib"),
        chunk(b"zTXt", b"key\0\7" + zlib.compress(b"x")),
        chunk(b"iTXt", b"key\0\0\0cut off"),
        chunk(b"tEXt", b"key\0" + bytes(pngtext.LONGEST)),
        struct.pack(">I4s", 0xFFFFFFFF, b"tEXt") + b"key\0endless",
        b"\0\0",
    ],
)
def test_what_is_broken_is_passed_over(tmp_path: Path, broken: bytes) -> None:
    assert pngtext.after_pixels(late(tmp_path / "broken.png", broken)) == {}


def test_only_so_many_texts_and_chunks_are_looked_at(tmp_path: Path) -> None:
    many = [chunk(b"tEXt", b"%d\0x" % number) for number in range(pngtext.MOST_TEXTS + 5)]
    assert len(pngtext.after_pixels(late(tmp_path / "many.png", *many))) == pngtext.MOST_TEXTS
    far = [chunk(b"IDAT", b"")] * pngtext.MOST_CHUNKS + [chunk(b"tEXt", b"key\0far")]
    assert pngtext.after_pixels(late(tmp_path / "far.png", *far)) == {}


def test_a_file_that_is_no_png_has_none(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"GIF89a")
    assert pngtext.after_pixels(tmp_path / "x.png") == {}
