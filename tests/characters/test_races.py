"""Two uploads, or an upload and a deletion, at the same moment on real connections."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from characters import services
from characters.models import Character, ReferenceImage
from isengard.errors import NotFound
from tests.pictures import encoded, picture

pytestmark = pytest.mark.django_db(transaction=True)


def together(*actions: Callable[[], Any]) -> list[Any]:
    """The results (or DomainErrors) of actions run at once, each on its own connection."""

    def run(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except NotFound as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.fixture
def mira(volume: Path) -> Character:
    return services.create_character(name="Mira", trigger_word="ohwx")


def add(character: Character, content: bytes) -> services.Upload:
    return services.add_image(character=character, file=io.BytesIO(content), name="test.png")


def files(volume: Path) -> int:
    return sum(path.is_file() for path in (volume / "characters").rglob("*"))


def test_the_same_file_four_times_at_once_is_stored_once(mira: Character, volume: Path) -> None:
    results = together(*[lambda: add(mira, encoded())] * 4)
    assert sorted(result.added for result in results) == [False, False, False, True]
    assert (ReferenceImage.objects.count(), files(volume)) == (1, 1)


def test_four_files_of_one_name_at_once_get_four_names(mira: Character) -> None:
    contents = [encoded(picture(width)) for width in (80, 81, 82, 83)]
    together(*[lambda content=content: add(mira, content) for content in contents])
    names = set(ReferenceImage.objects.values_list("name", flat=True))
    assert names == {"test.png", "test-2.png", "test-3.png", "test-4.png"}


def test_an_upload_during_a_deletion_leaves_no_orphan(mira: Character, volume: Path) -> None:
    together(
        lambda: add(mira, encoded()),
        lambda: services.delete_character(character=mira, typed_name="Mira"),
        lambda: add(mira, encoded(picture(80))),
    )
    assert (Character.objects.count(), ReferenceImage.objects.count(), files(volume)) == (0, 0, 0)
