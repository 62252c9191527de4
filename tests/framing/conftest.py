"""A character with three photos, the first of them examined: one face in it. No bells ring."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from characters.models import Character, Examination, ReferenceImage
from tests.people import make_character
from tests.pictures import encoded

FACE = {"x": 0.4, "y": 0.2, "width": 0.2, "height": 0.2, "score": 1.0, "drawn": False}


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isengard.jobs.doorbell.ring_queue", lambda queue: None)


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character()


@pytest.fixture
def photo(mira: Character) -> ReferenceImage:
    image = mira.images.select_related("character").order_by("pk")[0]
    Examination.objects.create(image=image, version=1, faces=[FACE])
    return image


def mask_file(width: int = 96, height: int = 96, box: Any = (24, 24, 72, 72), white: int = 255) -> bytes:
    """A black picture with a white box: the person."""
    mask = Image.new("L", (width, height))
    if box:
        mask.paste(white, box)
    return encoded(mask)


Masked = Callable[..., ReferenceImage]
