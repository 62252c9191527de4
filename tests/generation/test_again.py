"""A second try of a request whose LoRA, picture or base is gone: a sentence in place, and the rest of it in Compose."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from characters.models import Character
from generation import grid, inputs, recall, services, wearing
from generation.grid import Axis
from generation.models import Generation
from isengard import storage
from isengard.jobs.models import Job
from tests.people import make_character, make_lora
from tests.pictures import encoded
from training.services import delete_lora

HTMX = {"HX-Request": "true"}
CREATE = reverse("generation:create")


def failed(**asked: Any) -> Generation:
    made = services.start_generation(prompt="a portrait", base="pocket", **asked)
    Job.objects.filter(pk=made.job_id).update(state="failed")
    return made


def again(client: Client, asked: Generation, **headers: str) -> Any:
    return client.post(reverse("generation:retry", args=[asked.job.public_id]), headers={**HTMX, **headers})


def given(name: str) -> dict[str, str]:
    path = storage.absolute(f"{inputs.FOLDER}/{'0' * 64}-4x4.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded())
    return {name: path.name}


def test_a_deleted_lora_is_said_in_the_place_of_the_button(client: Client, mira: Character) -> None:
    asked = failed(lora=make_lora(mira))
    delete_lora(lora=asked.lora)
    answer = again(client, asked)
    page = answer.content.decode()
    assert answer.status_code == 422 and "Mira v1" in page and "<html" not in page
    assert f'href="{CREATE}?from={asked.job.public_id}"' in page and "Try again" not in page


def test_without_javascript_the_reason_stands_on_the_page_of_the_request(client: Client, mira: Character) -> None:
    asked = failed(lora=make_lora(mira))
    delete_lora(lora=asked.lora)
    page = client.post(reverse("generation:retry", args=[asked.job.public_id])).content.decode()
    assert 'data-testid="generation-card"' in page and "was deleted" in page and "rest of the recipe" in page


def test_what_is_only_missing_now_can_be_tried_again(client: Client, db: None, monkeypatch: Any) -> None:
    asked = failed()
    monkeypatch.setattr(storage, "free_bytes", lambda: 0)
    page = again(client, asked).content.decode()
    assert "are free where the studio keeps its files" in page and "Try again" in page


def test_a_request_that_is_gone_itself_is_said_in_place(client: Client, db: None, volume: Any) -> None:
    asked = failed()
    Job.objects.filter(pk=asked.job_id).delete()
    answer = again(client, asked)
    assert answer.status_code == 422 and "This request was deleted meanwhile." in answer.content.decode()


@pytest.mark.parametrize(("tool", "name"), [("image_to_image", "source")])
def test_a_given_picture_that_is_gone_is_named(client: Client, db: None, volume: Any, tool: str, name: str) -> None:
    asked = failed(tool=tool, inputs=given(name))
    inputs.path_of(asked.inputs[name]).unlink()
    assert "The picture of this request is gone" in again(client, asked).content.decode()
    page = client.get(f"{CREATE}?from={asked.job.public_id}").content.decode()
    assert "The picture of this request is gone" in page and f'name="tool" value="{tool}"' in page


def test_a_tool_for_a_deleted_picture_says_so(client: Client, db: None, volume: Any) -> None:
    page = client.get(f"{CREATE}?tool=upscale&from={failed().job.public_id}&picture=1").content.decode()
    assert "That picture was deleted." in page and 'name="tool" value="upscale"' in page


def test_on_generate_the_new_try_comes_on_top(client: Client, db: None, volume: Any) -> None:
    answer = again(client, failed(), **{"HX-Current-URL": f"http://testserver{CREATE}?from=gen-0"})
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (204, "pictures:changed")


def test_compose_keeps_the_place_of_a_lora_that_is_gone(client: Client, mira: Character) -> None:
    joon = make_lora(make_character("Joon", "ohwxjoon"))
    asked = failed(lora=make_lora(mira), more=[(wearing.of_lora(joon), 0.4)])
    delete_lora(lora=asked.lora)
    found = recall.of_request(Generation.objects.get(pk=asked.pk))
    assert (found.values["lora"], found.values["lora_2"], found.values["strength_2"]) == (None, joon.public_id, 0.4)
    assert "Mira v1" in found.notes[0] and "was deleted" in found.notes[0]


def test_a_grid_comes_back_without_the_lora_that_is_gone(mira: Character) -> None:
    kept, gone = make_lora(mira), make_lora(make_character("Joon", "ohwxjoon"))
    axes = [Axis("lora", (kept.public_id, gone.public_id)), Axis("strength", ("0.5", "1"))]
    asked = grid.start_grid(axes=axes, prompt="a portrait", base="pocket", worn=wearing.of_lora(kept))
    delete_lora(lora=gone)
    found = recall.of_request(asked)
    assert (found.values["grid_lora"], found.values["grid_strength"]) == ([kept.public_id], "0.5, 1")
    assert found.notes == ["Joon v1 was deleted, so the grid is without it."]


@pytest.mark.parametrize("page", ["generation:detail", "generation:create", "generation:pictures"])
def test_a_base_that_the_studio_no_longer_knows_breaks_no_page(
    client: Client, db: None, volume: Any, page: str
) -> None:
    asked = failed()
    Generation.objects.filter(pk=asked.pk).update(base="flux-0")
    assert client.get(reverse(page, args=[asked.job.public_id] if page.endswith("detail") else [])).status_code == 200
    assert "no base model called" in again(client, asked).content.decode()
    assert "which the studio no longer knows" in client.get(f"{CREATE}?from={asked.job.public_id}").content.decode()
