"""Parts of a file: what a Range header means, and what the studio answers to one."""

import pytest
from django.test import Client

from characters.models import Character
from isengard import files, ranges
from isengard.ranges import Part
from tests.people import make_character


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", Part(0, 10, 100)),
        ("bytes=90-", Part(90, 10, 100)),
        ("bytes=-10", Part(90, 10, 100)),
        ("bytes=-500", Part(0, 100, 100)),
        ("bytes=50-500", Part(50, 50, 100)),
        ("", None),
        ("bytes=-", None),
        ("bytes=9-0", None),
        ("bytes=0-1,4-5", None),
        ("pages=1-2", None),
        ("bytes=a-b", None),
    ],
)
def test_a_range_is_read_as_the_standard_says(header: str, part: Part | None) -> None:
    assert ranges.wanted(header, 100) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=0-", 0), ("bytes=-0", 100)])
def test_a_range_beyond_the_end_is_told(header: str, size: int) -> None:
    with pytest.raises(ranges.Unsatisfiable):
        ranges.wanted(header, size)


@pytest.fixture
def address(db: None, volume: object) -> str:
    mira: Character = make_character(photos=1)
    return mira.images.get().get_absolute_url()


def test_a_part_of_a_file_is_answered_with_206(client: Client, address: str) -> None:
    whole = client.get(address).content
    answer = client.get(address, headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, whole[10:20])
    assert answer["Content-Range"] == f"bytes 10-19/{len(whole)}" and answer["Accept-Ranges"] == "bytes"


def test_a_part_of_a_large_file_is_streamed(client: Client, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = client.get(address).content
    monkeypatch.setattr(files, "CHUNK", 16)
    answer = client.get(address, headers={"Range": "bytes=5-60"})
    assert b"".join(answer) == whole[5:61] and answer["Content-Length"] == "56"


def test_nothing_lies_behind_the_end(client: Client, address: str) -> None:
    answer = client.get(address, headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416 and answer["Content-Range"].startswith("bytes */")


def test_a_part_of_another_file_than_before_is_the_whole_one(client: Client, address: str) -> None:
    answer = client.get(address, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert answer.status_code == 200
