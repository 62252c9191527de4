"""A character, and what its tests need to upload to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from characters import services
from characters.models import Character
from tests.pictures import encoded


@pytest.fixture
def character(db: None, volume: Path) -> Character:
    return services.create_character(name="Mira", trigger_word="ohwx")


Upload = Callable[..., Any]


@pytest.fixture
def upload(api: APIClient, character: Character) -> Upload:
    """Posts (name, bytes) pairs as one form and returns the parsed answer."""

    def send(*files: tuple[str, bytes]) -> Any:
        parts = [SimpleUploadedFile(name, content) for name, content in files or [("test.png", encoded())]]
        address = f"/api/characters/{character.public_id}/images"
        return api.post(address, {"files": parts}, format="multipart").json()

    return send
