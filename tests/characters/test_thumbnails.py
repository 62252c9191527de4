"""Thumbnails come later and are never missed: until they are there the photo itself is shown."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from characters import tasks, thumbnails
from characters.models import Character, ReferenceImage
from isengard import storage
from tests.characters.conftest import Upload
from tests.pictures import encoded, picture


@pytest.fixture
def image(upload: Upload, character: Character) -> ReferenceImage:
    upload(("wide.jpg", encoded(picture(1500, 1000), "JPEG")))
    return character.images.get()


def size_of(image: ReferenceImage, size: int) -> tuple[int, int]:
    return Image.open(storage.absolute(thumbnails.key(image, size))).size


def test_copies_are_webp_of_the_promised_sizes(image: ReferenceImage) -> None:
    tasks.thumbnail(image.pk)
    assert (size_of(image, 512), size_of(image, 256)) == ((512, 341), (256, 171))


def test_a_small_photo_is_not_blown_up(upload: Upload, character: Character) -> None:
    upload()
    tasks.thumbnail(character.images.get().pk)
    assert size_of(character.images.get(), 256) == (96, 64)


def test_the_photo_itself_is_served_until_its_copy_is_there(image: ReferenceImage) -> None:
    before = Client().get(image.thumb_256)
    tasks.thumbnail(image.pk)
    after = Client().get(image.thumb_256)
    assert (before["Content-Type"], after["Content-Type"]) == ("image/jpeg", "image/webp")
    assert "immutable" not in before["Cache-Control"]
    assert "immutable" in after["Cache-Control"]


def test_an_upload_rings_the_cpu_lane(
    upload: Upload, character: Character, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(thumbnails, "ring", rung.append)
    with django_capture_on_commit_callbacks(execute=True):
        upload()
    assert rung == [character.images.get().pk]


def test_the_sweep_makes_what_a_lost_ring_left_out(image: ReferenceImage) -> None:
    tasks.sweep()
    assert not ReferenceImage.objects.get().thumb_ready
    ReferenceImage.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    tasks.sweep()
    assert ReferenceImage.objects.get().thumb_ready


def test_a_ring_for_a_deleted_photo_does_nothing(db: None) -> None:
    tasks.thumbnail(12345)


def test_a_photo_whose_file_is_gone_stops_no_sweep(image: ReferenceImage) -> None:
    storage.remove(image.file)
    ReferenceImage.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    tasks.sweep()
    assert not ReferenceImage.objects.get().thumb_ready
