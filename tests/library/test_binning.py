"""A deleted version comes back for a minute as it was; then its files go."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from characters.models import Character
from generation import services as generation
from isengard import storage
from isengard.errors import Invalid, NotFound
from tests.pages.rows import trained
from tests.people import add_photo, make_lora
from training.library import binning
from training.models import Lora


@pytest.fixture
def lora(mira: Character) -> Lora:
    """The active one of two, of a training, with its file."""
    add_photo(mira, 0)
    make_lora(mira, 1, active=False)
    made = make_lora(mira, 2)
    Lora.objects.filter(pk=made.pk).update(run=trained(mira, "completed"), name="Best")
    storage.absolute(made.file).write_bytes(b"weights")
    return Lora.objects.get(pk=made.pk)


def age(seconds: float) -> None:
    for note in storage.absolute("loras/deleted").glob("*.json"):
        os.utime(note, (time.time() - seconds,) * 2)


def facts(lora: Lora) -> dict[str, Any]:
    return {field.attname: getattr(lora, field.attname) for field in lora._meta.concrete_fields}


def test_it_comes_back_as_it_was(lora: Lora) -> None:
    before = facts(lora)
    binning.delete(lora=Lora.objects.get(pk=lora.pk))
    assert list(Lora.objects.values_list("version", "is_active")) == [(1, True)]
    assert facts(binning.restore(public_id=lora.public_id)) == before
    assert [row.version for row in Lora.objects.active()] == [2]


def test_pictures_made_with_it_wear_it_again(lora: Lora, mira: Character) -> None:
    asked = generation.start_generation(prompt="a portrait", character=mira, base="pocket", count=1, seed=7, lora=lora)
    binning.delete(lora=Lora.objects.get(pk=lora.pk))
    asked.refresh_from_db()
    assert asked.lora is None
    binning.restore(public_id=lora.public_id)
    asked.refresh_from_db()
    assert asked.lora == lora


def test_a_minute_later_it_is_too_late(lora: Lora) -> None:
    binning.delete(lora=lora)
    age(binning.UNDO_SECONDS + 1)
    with pytest.raises(Invalid, match="too late"):
        binning.restore(public_id=lora.public_id)


def test_its_file_goes_after_that_and_not_before(lora: Lora, volume: Path) -> None:
    file = storage.absolute(lora.file)
    binning.delete(lora=lora)
    assert binning.purge() == 0 and file.is_file()
    age(binning.PURGE_SECONDS + 1)
    assert binning.purge() == 1 and not file.exists()


def test_what_came_back_is_not_purged(lora: Lora) -> None:
    public_id = lora.public_id
    binning.delete(lora=lora)
    kept = storage.absolute(f"loras/deleted/{public_id}.json").read_text()
    back = binning.restore(public_id=public_id)
    storage.absolute(f"loras/deleted/{public_id}.json").write_text(kept)
    age(binning.PURGE_SECONDS + 1)
    binning.purge()
    assert storage.absolute(back.file).is_file()


def test_of_a_character_that_is_gone_nothing_comes_back(lora: Lora, mira: Character) -> None:
    public_id = lora.public_id
    binning.delete(lora=lora)
    mira.delete()
    with pytest.raises(NotFound):
        binning.restore(public_id=public_id)


def test_the_page_after_it_offers_undo(client: Client, lora: Lora) -> None:
    answer = client.post(f"/loras/{lora.public_id}/delete", follow=True).content.decode()
    assert f'action="/loras/{lora.public_id}/restore"' in answer
    assert client.post(f"/loras/{lora.public_id}/restore").headers["Location"] == f"/loras/{lora.public_id}"


def test_the_api_brings_it_back(api: APIClient, lora: Lora) -> None:
    api.delete(f"/api/loras/{lora.public_id}")
    assert api.post(f"/api/loras/{lora.public_id}/restore").json()["name"] == "Best v2"
    assert api.post("/api/loras/lora-000000000000/restore").json()["code"] == "too_late"
