"""Pictures of one trained character in an empty volume, and no bells: nothing runs by itself in these tests."""

from pathlib import Path

import pytest

from characters.models import Character
from generation.models import Output
from tests.pages.rows import add_output, pictured
from tests.people import make_character, make_lora


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isengard.jobs.doorbell.ring_queue", lambda queue: None)


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    character = make_character()
    make_lora(character)
    return character


@pytest.fixture
def outputs(mira: Character) -> list[Output]:
    """Five pictures of Mira with files, oldest first."""
    made = [add_output(pictured(mira, made=0), 0) for _ in range(5)]
    return list(Output.objects.filter(pk__in=[output.pk for output in made]).order_by("pk"))
