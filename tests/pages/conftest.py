"""A character with photos, and no bells: pages are asked, nothing runs by itself."""

from pathlib import Path

import pytest

from characters.models import Character
from tests.people import make_character


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isengard.jobs.doorbell.ring_queue", lambda queue: None)


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character()
