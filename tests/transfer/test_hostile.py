"""An archive that was made to do harm brings nothing in; an honest one loses only the entries that cannot be used."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from characters.models import Character, DatasetTask
from characters.transfer import archive
from isengard.errors import Invalid
from isengard.jobs.models import Job
from tests.transfer.archives import codes, imported, jpeg, zipped


def refused(data: bytes, character: Character, volume: Path) -> str:
    """Why the whole archive was refused; that nothing of it was kept is checked here."""
    with pytest.raises(Invalid) as caught:
        imported(data, character)
    left = [path for path in volume.rglob("*") if path.is_file() and "logs" not in path.parts]
    assert (left, character.images.count(), DatasetTask.objects.count(), Job.objects.count()) == ([], 0, 0, 0)
    return caught.value.code


def special(name: str, mode: int) -> bytes:
    """An archive whose second entry says that it is a link, a device …"""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    buffer = io.BytesIO(zipped({"a.jpg": jpeg()}))
    with zipfile.ZipFile(buffer, "a") as opened:
        opened.writestr(info, "/etc/passwd")
    return buffer.getvalue()


SLIPS = (
    "../a.jpg",
    "x/../../a.jpg",
    "/etc/a.jpg",
    "C:/a.jpg",
    "c:a.jpg",
    "..\\a.jpg",
    "x\\..\\..\\a.jpg",
    "\\\\a.jpg",
    "..",
)


@pytest.mark.parametrize("name", SLIPS)
def test_a_name_that_points_outside_condemns_the_archive(character: Character, volume: Path, name: str) -> None:
    assert refused(zipped({"good.jpg": jpeg(), name: jpeg()}), character, volume) == "hostile_archive"


def test_a_name_with_a_nul_condemns_the_archive(character: Character, volume: Path) -> None:
    data = zipped({"good.jpg": jpeg(), "aXb.jpg": jpeg("#3060b0")})
    assert refused(data.replace(b"aXb.jpg", b"a\0b.jpg"), character, volume) == "hostile_archive"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_link_or_device_condemns_the_archive(character: Character, volume: Path, kind: int) -> None:
    assert refused(special("b.jpg", kind), character, volume) == "hostile_archive"


def test_a_bomb_by_ratio_is_not_unpacked(character: Character, volume: Path) -> None:
    bomb = zipped({"a.jpg": b"\0" * (20 << 20)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    assert refused(bomb, character, volume) == "hostile_archive"


def test_a_bomb_by_sum_is_not_unpacked(character: Character, volume: Path) -> None:
    data = bytearray(zipped({f"{number}.jpg": b"x" for number in range(100)}))
    position = 0
    while (position := data.find(b"PK\x01\x02", position)) >= 0:
        # Each says that it packs 40 MB into 40 MB.
        data[position + 20 : position + 28] = struct.pack("<II", 45_000_000, 45_000_000)
        position += 4
    assert refused(bytes(data), character, volume) == "archive_too_large"


def test_entries_that_share_their_bytes_are_not_unpacked(character: Character, volume: Path) -> None:
    data = bytearray(zipped({"a.jpg": jpeg(), "b.jpg": jpeg("#3060b0")}))
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    assert refused(bytes(data), character, volume) == "hostile_archive"


def test_an_entry_larger_than_it_declares_is_cut_off_and_refused(character: Character) -> None:
    data = bytearray(zipped({"a.jpg": b"x" * 5000, "b.jpg": jpeg()}))
    first = data.index(b"PK\x01\x02")
    data[first + 24 : first + 28] = struct.pack("<I", 10)
    assert codes(imported(bytes(data), character)) == {"a.jpg": "broken_entry"}


def test_5001_entries_are_too_many(character: Character, volume: Path) -> None:
    many = zipped({f"{number}.txt": b"" for number in range(archive.MAX_ENTRIES)} | {"a.jpg": jpeg()})
    assert refused(many, character, volume) == "too_many_entries"


def test_a_list_too_large_to_be_read_is_not_read(character: Character, volume: Path) -> None:
    many = zipped({f"{number:080}": b"" for number in range(40_000)})
    assert refused(many, character, volume) == "too_many_entries"


@pytest.mark.parametrize("data", [b"x", b"PK\x05\x06", b"PK\x03\x04" + b"x" * 500, zipped({"a.jpg": jpeg()})[:-30]])
def test_what_is_no_archive_is_refused(character: Character, volume: Path, data: bytes) -> None:
    assert refused(data, character, volume) == "not_a_zip"


def test_an_archive_without_a_picture_says_what_was_in_it(character: Character, volume: Path) -> None:
    assert refused(zipped({"a.docx": b"x", "b.zip": b"x"}), character, volume) == "no_pictures"


def test_an_empty_file_is_refused(character: Character, volume: Path) -> None:
    assert refused(b"", character, volume) == "empty_file"


def test_each_entry_that_cannot_be_used_is_listed_and_the_others_come(character: Character) -> None:
    files = {
        "good.jpg": jpeg(),
        "inner.zip": zipped({"a.jpg": jpeg()}),
        "hidden.jpg": zipped({"a.jpg": jpeg()}),
        "broken.jpg": jpeg()[:200],
        "note.docx": b"x",
        "empty.png": b"",
        "alone.txt": b"a caption",
        "page.svg": b"<svg onload='alert(1)'/>",
        "__MACOSX/._good.jpg": b"x",
        ".DS_Store": b"x",
    }
    task = imported(zipped(files), character)
    assert task.job.result["added"] == 1
    assert codes(task) == {
        "inner.zip": "nested_archive",
        "hidden.jpg": "not_an_image",
        "broken.jpg": "broken_image",
        "note.docx": "not_an_image",
        "empty.png": "empty_file",
        "alone.txt": "caption_alone",
        "page.svg": "not_an_image",
    }


def test_an_encrypted_entry_is_listed(character: Character) -> None:
    data = bytearray(zipped({"secret.jpg": jpeg(), "good.jpg": jpeg("#3060b0")}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert codes(imported(bytes(data), character)) == {"secret.jpg": "encrypted"}


def test_an_entry_packed_with_lzma_is_listed(character: Character) -> None:
    buffer = io.BytesIO(zipped({"good.jpg": jpeg()}))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_LZMA) as opened:
        opened.writestr("odd.jpg", jpeg("#3060b0"))
    assert codes(imported(buffer.getvalue(), character)) == {"odd.jpg": "unknown_packing"}


def test_an_entry_with_a_wrong_checksum_is_listed(character: Character) -> None:
    data = bytearray(zipped({"a.jpg": jpeg(), "good.jpg": jpeg("#3060b0")}))
    data[200] ^= 0xFF
    assert codes(imported(bytes(data), character)) == {"a.jpg": "broken_entry"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_entries_of_one_name_the_first_comes(character: Character) -> None:
    buffer = io.BytesIO(zipped({"a.jpg": jpeg()}))
    with zipfile.ZipFile(buffer, "a") as opened:
        opened.writestr("a.jpg", jpeg("#3060b0"))
    assert codes(imported(buffer.getvalue(), character)) == {"a.jpg": "same_name"}


def test_two_folders_may_have_files_of_one_name(character: Character) -> None:
    imported(zipped({"x/a.jpg": jpeg(), "y/a.jpg": jpeg("#3060b0")}), character)
    assert sorted(character.images.values_list("name", flat=True)) == ["a-2.jpg", "a.jpg"]


def test_a_photo_over_the_cap_is_listed(character: Character, settings: object) -> None:
    settings.PHOTO_MAX_BYTES = 4000  # type: ignore[attr-defined]
    task = imported(zipped({"big.jpg": jpeg() + b"x" * 4000, "good.jpg": jpeg(side=20)}), character)
    assert codes(task) == {"big.jpg": "file_too_large"}


def test_names_in_utf8_without_saying_so_are_read(character: Character) -> None:
    data = zipped({"Ä.jpg": jpeg()})
    # Without the flag that says UTF-8, as many tools write it.
    plain = data.replace(struct.pack("<HH", 20, 0x800), struct.pack("<HH", 20, 0))
    assert plain != data
    imported(plain, character)
    assert character.images.get().original_name == "Ä.jpg"
