"""A character to import into and export from."""

from pathlib import Path

import pytest

from characters import services
from characters.models import Character


@pytest.fixture
def character(db: None, volume: Path) -> Character:
    return services.create_character(name="Mira", trigger_word="ohwx", description="a woman")
