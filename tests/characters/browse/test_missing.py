"""Photos that vanish from the disk: found, shown, brought back."""

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from characters import services, tasks
from characters.browse import missing, query
from characters.browse.query import Filter
from characters.models import Character
from isengard import storage
from tests.characters.conftest import Upload
from tests.people import make_character
from tests.pictures import encoded


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    cache.delete(missing.PLACE)
    return make_character("Mira", photos=3)


def lost() -> list[str]:
    return [image.name for image in query.page(Filter(missing=True)).images]


def test_the_sweep_marks_photos_whose_file_is_gone(mira: Character) -> None:
    storage.remove(mira.images.get(name="photo-1.png").file)
    tasks.sweep()
    assert lost() == ["photo-1.png"]


def test_a_file_that_is_back_is_unmarked(mira: Character) -> None:
    path = storage.absolute(mira.images.get(name="photo-1.png").file)
    aside = path.rename(path.with_suffix(".aside"))
    assert missing.patrol() == 1
    aside.rename(path)
    assert (missing.patrol(), lost()) == (1, [])


def test_the_patrol_goes_on_where_it_stopped_and_begins_again(mira: Character, monkeypatch: Any) -> None:
    monkeypatch.setattr(missing, "BATCH", 2)
    for image in mira.images.all():
        storage.remove(image.file)
    assert [missing.patrol() for _ in range(3)] == [2, 1, 0]


def test_uploading_it_again_puts_the_file_back_and_keeps_what_was_said(upload: Upload, character: Character) -> None:
    upload()
    image = character.images.get()
    character.images.update(caption="by the sea", thumb_ready=True)
    storage.remove(image.file)
    missing.patrol()
    assert upload()["uploaded"] == [image.name]
    again = character.images.get()
    assert (again.missing, again.missing_at, again.caption, again.thumb_ready) == (False, None, "by the sea", False)


def test_the_same_bytes_as_a_photo_that_is_there_are_skipped_as_ever(upload: Upload, character: Character) -> None:
    upload(("a.png", encoded()))
    assert upload(("b.png", encoded()))["skipped"][0]["code"] == "duplicate"


def test_a_lost_photo_stops_no_thumbnail_of_others(mira: Character, monkeypatch: Any) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)
    monkeypatch.setattr(tasks, "UNHEARD", -tasks.UNHEARD)
    storage.remove(mira.images.get(name="photo-0.png").file)
    for _ in range(2):
        tasks.sweep()
    assert mira.images.filter(thumb_ready=True).count() == 2


def test_a_vanished_file_does_not_stop_the_deletion(mira: Character) -> None:
    image = mira.images.get(name="photo-0.png")
    storage.remove(image.file)
    services.delete_image(image=image)
    assert mira.images.count() == 2
