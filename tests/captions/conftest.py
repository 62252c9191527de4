"""A character with photos whose captions are written; no bells ring."""

from pathlib import Path

import pytest

from characters.models import Character, ReferenceImage
from tests.people import make_character


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isengard.jobs.doorbell.ring_queue", lambda queue: None)


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character(trigger="ohwx")


@pytest.fixture
def photo(mira: Character) -> ReferenceImage:
    return mira.images.order_by("pk")[0]
