"""What archives from elsewhere say of their pictures is found, in whatever encoding, and never believed blindly."""

import json
from typing import Any

import pytest

from characters.models import Character, ReferenceImage
from characters.transfer import services
from tests.transfer.archives import codes, imported, jpeg, zipped


def only(character: Character) -> ReferenceImage:
    return character.images.get()


def described(character: Character, **line: Any) -> list[str]:
    """Imports one photo that is described so; the remarks about it."""
    text = json.dumps({"file_name": "a.jpg", **line}).encode()
    task = imported(zipped({"a.jpg": jpeg(), "metadata.jsonl": text}), character)
    return [row["reason"] for row in services.report(task)["notes"]]


@pytest.mark.parametrize(
    ("encoded", "name"),
    [
        ("ein Foto, lächelnd".encode(), "a.txt"),
        ("ein Foto, lächelnd".encode("utf-8-sig"), "A.TXT"),
        ("ein Foto, lächelnd".encode("utf-16"), "a.jpg.txt"),
        ("ein Foto, lächelnd".encode("cp1252"), "a.caption"),
    ],
)
def test_a_caption_file_beside_a_photo_is_its_caption(character: Character, encoded: bytes, name: str) -> None:
    imported(zipped({"x/a.jpg": jpeg(), f"x/{name}": encoded}), character)
    assert only(character).caption == "ein Foto, lächelnd"


def test_markup_in_a_caption_is_text(character: Character) -> None:
    imported(zipped({"a.jpg": jpeg(), "a.txt": b"<script>alert(1)</script>"}), character)
    assert only(character).caption == "<script>alert(1)</script>"


def test_a_caption_that_is_too_long_is_told_and_the_photo_comes(character: Character) -> None:
    task = imported(zipped({"a.jpg": jpeg(), "a.txt": b"x" * 2001}), character)
    assert (only(character).caption, "2,000 characters" in task.job.result["notes"][0]["reason"]) == ("", True)


def test_the_metadata_of_hugging_face_is_read_where_it_lies(character: Character) -> None:
    line = json.dumps({"file_name": "a.jpg", "text": "smiling"}).encode()
    imported(zipped({"train/a.jpg": jpeg(), "train/metadata.jsonl": line}), character)
    assert only(character).caption == "smiling"


def test_metadata_outranks_a_caption_file(character: Character) -> None:
    line = json.dumps({"file_name": "a.jpg", "text": "from metadata"}).encode()
    imported(zipped({"a.jpg": jpeg(), "a.txt": b"from text", "metadata.jsonl": line}), character)
    assert only(character).caption == "from metadata"


def test_a_line_that_is_no_description_is_listed(character: Character) -> None:
    lines = b'not json\n\n[1]\n{"text": "x"}\n' + json.dumps({"file_name": "gone.jpg"}).encode()
    found = codes(imported(zipped({"a.jpg": jpeg(), "metadata.jsonl": lines}), character))
    assert sorted(found.values()) == ["bad_line", "bad_line", "bad_line", "not_there"]


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"a\\u0000b"', '"' + "[" * 5000 + '"', "[" * 5000 + "]" * 5000, '{"a": 1}']
)
def test_a_text_that_no_database_holds_harms_nothing(character: Character, text: str) -> None:
    line = f'{{"file_name": "a.jpg", "text": {text}}}'.encode()
    imported(zipped({"a.jpg": jpeg(), "metadata.jsonl": line}), character)
    assert only(character).caption == ""


@pytest.mark.parametrize(
    "crop",
    [
        {"kind": "main", "x": 0.5, "y": 0, "width": 0.6, "height": 1},
        {"kind": "main", "x": -0.1, "y": 0, "width": 0.5, "height": 1},
        {"kind": "main", "x": 0, "y": 0, "width": 0, "height": 1},
        {"kind": "main", "x": "0", "y": 0, "width": 1, "height": 1},
        {"kind": "main", "x": True, "y": 0, "width": 0.5, "height": 1},
        {"kind": "main", "x": float("nan"), "y": 0, "width": 1, "height": 1},
        {"kind": "ear", "x": 0, "y": 0, "width": 1, "height": 1},
        "all of it",
    ],
)
def test_a_crop_that_is_none_is_left_out(character: Character, crop: object) -> None:
    assert described(character, crops=[crop]) == ["A crop that does not lie inside its picture was left out."]


def test_a_tag_of_300_characters_is_left_out_and_the_others_come(character: Character) -> None:
    remarks = described(character, tags=["x" * 300, "beach", "a,b"])
    assert (len(remarks), only(character).tag_text) == (2, "beach")


def test_a_mask_that_is_missing_or_of_another_size_is_left_out(character: Character) -> None:
    lines = b"\n".join(
        json.dumps({"file_name": name, "mask": mask}).encode()
        for name, mask in [("a.jpg", "m.png"), ("b.jpg", "no.png")]
    )
    files = {"a.jpg": jpeg(), "b.jpg": jpeg("#3060b0"), "m.png": jpeg(side=50), "metadata.jsonl": lines}
    task = imported(zipped(files), character)
    assert (task.job.result["added"], len(task.job.result["notes"])) == (2, 2)
    assert list(character.images.values_list("mask", flat=True)) == ["", ""]


def test_a_path_out_of_the_archive_means_nothing(character: Character) -> None:
    described(character, mask="../../../etc/passwd", name="../../x.jpg")
    assert (only(character).name, only(character).mask) == ("x.jpg", "")


def test_a_digest_of_another_file_is_not_believed(character: Character) -> None:
    described(character, sha256="0" * 64, source_sha256="1" * 64)
    assert only(character).sha256 != "1" * 64


@pytest.mark.parametrize("value", [{"a": 1}, [1], 5, None, "x" * 5000, "\x07"])
def test_odd_values_are_left_out_and_the_photo_comes(character: Character, value: object) -> None:
    names = ("name", "original_name", "split", "made_by", "mask_by", "tags", "crops", "captions", "ignored", "mask")
    described(character, **dict.fromkeys(names, value))
    assert (only(character).split, only(character).made_by) == ("train", "")
