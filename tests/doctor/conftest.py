"""A character whose photos are measured by the real engine, and facts as the engine would tell them."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

from characters import services
from characters.doctor import services as doctor
from characters.doctor.handlers import ExamineHandler
from characters.models import Character, ReferenceImage
from isengard.engine.backends.base import Working
from isengard.engine.backends.native import NativeBackend
from isengard.jobs.models import Job

FACE = {
    "x": 0.4,
    "y": 0.2,
    "width": 0.2,
    "height": 0.3,
    "score": 0.9,
    "drawn": False,
    "sharpness": 400.0,
    "brightness": 0.6,
}
GOOD = {
    "index": 1, "width": 1024, "height": 1024, "sharpness": 500.0, "brightness": 0.5, "contrast": 0.7, "phash": 1,
    "drawn": False, "turn": 0, "faces": [FACE],
}  # fmt: skip


@pytest.fixture
def character(db: None, volume: Path) -> Character:
    return services.create_character(name="Mira", trigger_word="ohwx")


Add = Callable[..., ReferenceImage]


@pytest.fixture
def add(character: Character) -> Add:
    """Stores a picture as a photo of the character."""

    def store(picture: Image.Image, name: str = "photo.png") -> ReferenceImage:
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        buffer.seek(0)
        return services.add_image(character=character, file=buffer, name=name).image

    return store


def portrait() -> Image.Image:
    return Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")


def run(job: Job) -> dict[str, Any]:
    """The job's work in this process, as its worker does it; what it says in the end."""
    handler = ExamineHandler()

    def sink(type: str, /, **fields: Any) -> None:
        handler.on_event(job, {"type": type, **fields})

    result = Working(NativeBackend())(handler.spec(job), sink, lambda: False)
    told = handler.finish(job, result)
    Job.objects.filter(pk=job.pk).update(state=Job.State.COMPLETED)
    return told


def examine(character: Character) -> dict[str, Any]:
    return run(doctor.check_again(character=character))


def told(image: ReferenceImage, **facts: Any) -> dict[str, Any]:
    """The engine's answer about a photo that is fine but for `facts`."""
    return {**GOOD, "index": image.pk, **facts}
