"""What the photo page shows as the trainer's view is what the trainer loads, from the page's address to its tensors."""

import io
from pathlib import Path

import numpy as np
import pytest
from django.test import Client
from PIL import Image, ImageDraw

pytest.importorskip("torch")

from characters import services as photos
from characters.framing import crops, seen
from characters.models import Character, ReferenceImage
from isengard.engine import catalog
from isengard.engine.specs import TrainImage, TrainSpec
from isengard.engine.trainer.data import load_pixels
from training import services
from training.handlers import TrainingHandler

BASE = catalog.get("pocket")
BOXES = {"main": (0.05, 0.1, 0.6, 0.85), "face": (0.3, 0.2, 0.4, 0.3), "half": (0.1, 0.25, 0.55, 0.5)}


@pytest.fixture
def photo(mira: Character, tmp_path: Path) -> ReferenceImage:
    """A sideways JPEG with a turn in its EXIF, every pixel another, cut three ways."""
    picture = Image.effect_noise((170, 130), 90).convert("RGB")
    ImageDraw.Draw(picture).ellipse((30, 20, 90, 110), fill="tomato")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "sideways.jpg", exif=exif)
    with (tmp_path / "sideways.jpg").open("rb") as file:
        image = photos.add_image(character=mira, file=file, name="sideways.jpg").image
    for kind, box in BOXES.items():
        crops.save(image=image, kind=kind, box=box)
    return image


def trained(mira: Character, photo: ReferenceImage, resolution: int) -> dict[str, TrainImage]:
    """The engine's own description of each sample of the photo, as a training job is given it."""
    run = services.start_training(character=mira, preset="quick", base="pocket", values={"resolution": resolution})
    images = TrainSpec.from_dict(TrainingHandler().spec(run.job)).images
    return dict(zip(BOXES, [image for image in images if photo.public_id in image.path], strict=True))


def shown(
    client: Client, photo: ReferenceImage, kind: str, resolution: int
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    answer = client.get(f"/photos/{photo.public_id}/look?base=pocket&resolution={resolution}&kind={kind}")
    return np.array(Image.open(io.BytesIO(answer.content)))


@pytest.mark.parametrize("resolution", seen.resolutions(BASE))
def test_the_page_shows_what_the_trainer_loads_at_every_resolution(
    client: Client, mira: Character, photo: ReferenceImage, resolution: int
) -> None:
    for kind, image in trained(mira, photo, resolution).items():
        loaded = load_pixels(image, resolution, BASE.multiple)[0].permute(1, 2, 0)
        pixels = ((loaded + 1) * 127.5).round().byte().numpy()
        assert np.array_equal(pixels, shown(client, photo, kind, resolution)), kind


def test_the_panel_tells_the_size_of_the_bucket_that_is_trained(mira: Character, photo: ReferenceImage) -> None:
    images = trained(mira, photo, 64)
    for kind, box in BOXES.items():
        look = next(one for one in seen.looks(photo, box, BASE) if one.resolution == 64)
        assert tuple(load_pixels(images[kind], 64, BASE.multiple).shape[-2:]) == (look.height, look.width)
