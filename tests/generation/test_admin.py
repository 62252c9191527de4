"""Operators see trainings, LoRAs and pictures, and what they delete is gone with its files."""

import pytest
from django.test import Client

from characters.models import Character
from generation import services
from generation.models import Output
from isengard import storage
from tests.people import make_lora
from training.models import Lora
from training.services import start_training


@pytest.fixture
def rows(mira: Character) -> Output:
    start_training(character=mira, preset="quick", base="pocket", values={})
    make_lora(mira, 1, active=False)
    make_lora(mira, 2)
    generation = services.start_generation(prompt="smiling", character=mira)
    key = f"{storage.output_key(generation.job.public_id)}/00.png"
    storage.absolute(key).parent.mkdir(parents=True)
    storage.absolute(key).write_bytes(b"png")
    facts = {"seed": 1, "width": 64, "height": 64, "size_bytes": 3, "seconds": 1.0}
    return Output.objects.create(generation=generation, index=0, file=key, **facts)


PAGES = ["training/trainingrun", "training/lora", "generation/generation", "generation/output"]


@pytest.mark.parametrize("page", PAGES)
def test_every_list_opens_searches_and_shows_a_row(admin_client: Client, rows: Output, page: str) -> None:
    response = admin_client.get(f"/admin/{page}/?q=Mira")
    assert response.status_code == 200
    assert response.context["cl"].result_count > 0


@pytest.mark.parametrize("page", PAGES)
def test_every_row_opens(admin_client: Client, rows: Output, page: str) -> None:
    listed = admin_client.get(f"/admin/{page}/").context["cl"].queryset
    assert admin_client.get(f"/admin/{page}/{listed[0].pk}/change/").status_code == 200


def test_making_a_lora_active_puts_the_other_down(admin_client: Client, rows: Output) -> None:
    old = Lora.objects.get(version=1)
    admin_client.post("/admin/training/lora/", {"action": "activate", "_selected_action": [old.pk]})
    assert [lora.version for lora in Lora.objects.active()] == [1]


@pytest.mark.django_db(transaction=True)
def test_deleting_a_picture_deletes_its_file(admin_client: Client, rows: Output) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [rows.pk], "post": "yes"}
    admin_client.post("/admin/generation/output/", chosen)
    assert not Output.objects.exists() and not storage.absolute(rows.file).exists()
