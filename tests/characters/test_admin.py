"""The operator's view of characters and photos."""

import pytest
from django.test import Client

from characters.models import Character
from tests.characters.conftest import Upload
from tests.pages.rows import trained


@pytest.mark.parametrize("page", ["character/", "referenceimage/", "character/?q=mira", "referenceimage/?q=test"])
def test_lists_open_and_search(admin_client: Client, upload: Upload, page: str) -> None:
    upload()
    assert admin_client.get(f"/admin/characters/{page}").status_code == 200


def test_a_photo_shows_its_thumbnail(admin_client: Client, upload: Upload, character: Character) -> None:
    upload()
    page = admin_client.get("/admin/characters/referenceimage/").content.decode()
    assert character.images.get().public_id in page


def test_nothing_is_typed_in_by_hand(admin_client: Client) -> None:
    assert admin_client.get("/admin/characters/character/add/").status_code == 403


def test_the_admin_needs_a_login(client: Client, db: None) -> None:
    assert client.get("/admin/characters/character/").status_code == 302


def test_the_admin_refuses_a_trigger_word_that_the_pages_refuse(admin_client: Client, character: Character) -> None:
    page = f"/admin/characters/character/{character.pk}/change/"
    form = {"name": "Mira", "trigger_word": "two words", "description": ""}
    assert admin_client.post(page, form).status_code == 400
    character.refresh_from_db()
    assert character.trigger_word != "two words"


def test_a_character_with_a_training_is_deleted_with_everything(
    admin_client: Client, upload: Upload, character: Character
) -> None:
    upload()
    trained(character, "completed")
    page = admin_client.post(f"/admin/characters/character/{character.pk}/delete/", {"post": "yes"})
    assert page.status_code == 302
    assert not Character.objects.exists()
