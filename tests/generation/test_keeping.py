"""Pictures that become photos: what they carry along, and what is refused."""

import json

import pytest
from django.test import Client
from PIL.PngImagePlugin import PngInfo
from rest_framework.test import APIClient

from characters.models import Character
from generation.keeping import keep_as_photo
from generation.models import Output
from isengard import storage
from isengard.errors import Invalid, NotFound
from tests.pages.rows import pictured
from tests.people import make_lora
from tests.pictures import encoded


@pytest.fixture
def made(mira: Character) -> Output:
    make_lora(mira)
    return Output.objects.get(generation=pictured(mira))


def test_a_kept_picture_says_what_made_it(made: Output, mira: Character) -> None:
    photo = keep_as_photo(output=made).image
    assert (photo.character, photo.split, photo.made_by) == (mira, "synthetic", made.generation.job.public_id)
    assert photo.caption == made.generation.prompt


def test_a_kept_picture_keeps_its_recipe_when_its_request_is_gone(client: Client, made: Output) -> None:
    info = PngInfo()
    info.add_itxt("isengard", json.dumps({"version": 1, "prompt": "a portrait", "seed": 7, "steps": 20}))
    storage.absolute(made.file).write_bytes(encoded(pnginfo=info))
    photo = keep_as_photo(output=made).image
    made.generation.job.delete()
    panel = client.get(f"/photos/{photo.public_id}/tags").content.decode()
    assert "Recipe" in panel and "<dd>7</dd>" in panel
    assert client.get(f"/api/images/{photo.public_id}").json()["recipe"]["prompt"] == "a portrait"


def test_keeping_a_picture_twice_changes_nothing(made: Output, mira: Character) -> None:
    first, again = keep_as_photo(output=made), keep_as_photo(output=made)
    assert (again.image.pk, again.added) == (first.image.pk, False)


def test_the_photo_stays_when_its_picture_is_deleted(made: Output) -> None:
    photo = keep_as_photo(output=made).image
    storage.remove(made.file)
    assert not photo.missing


def test_a_picture_of_nobody_needs_a_name(db: None, volume: object) -> None:
    with pytest.raises(Invalid, match="without a character"):
        keep_as_photo(output=Output.objects.get(generation=pictured()))


def test_a_picture_of_nobody_becomes_the_photo_of_whom_one_says(mira: Character) -> None:
    kept = keep_as_photo(output=Output.objects.get(generation=pictured()), character=mira)
    assert kept.image.character == mira


def test_a_vanished_picture_is_told(made: Output) -> None:
    storage.remove(made.file)
    with pytest.raises(NotFound, match="is gone"):
        keep_as_photo(output=made)


def test_the_api_keeps_a_picture_and_says_which_photo_it_is(api: APIClient, made: Output, mira: Character) -> None:
    address = f"/api/generation/{made.generation.job.public_id}/outputs/0/keep"
    first, again = api.post(address, {}), api.post(address, {})
    assert (first.status_code, again.status_code) == (201, 200)
    photo = mira.images.get(split="synthetic").public_id
    assert first.json() == {"image_id": photo, "character_id": mira.public_id, "added": True}


def test_the_api_refuses_a_character_that_does_not_exist(api: APIClient, made: Output) -> None:
    address = f"/api/generation/{made.generation.job.public_id}/outputs/0/keep"
    assert api.post(address, {"character_id": "char-00000000"}).status_code == 404
