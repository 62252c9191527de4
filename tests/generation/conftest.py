"""A character with photos in an empty volume, and no bells: nothing runs by itself in these tests."""

from pathlib import Path

import pytest

from characters.models import Character
from tests.people import make_character


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr("isengard.jobs.doorbell.ring_queue", rung.append)
    return rung


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character()
