"""Where the focus goes when what had it is made anew: htmx gives it to the same id, or to `autofocus`."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from generation import grid
from generation.models import Board, PromptStyle
from tests.pages.rows import HTMX, add_output, pictured

CREATE = reverse("generation:create")


def ids(page: str) -> set[str]:
    return set(re.findall(r'<(?:a|button|input|select|summary|span)[^>]* id="([^"]+)"', page))


def focused(page: str) -> list[str]:
    return re.findall(r"<(\w+)[^>]* autofocus", page)


@pytest.mark.parametrize("to", ["upscale", "draw"])
def test_a_chosen_tool_keeps_the_focus(client: Client, db: None, to: str) -> None:
    page = client.post(reverse("generation:attach"), {"base": "pocket", "to": to}, headers=HTMX).content.decode()
    assert f"tool-{to}" in ids(page) and re.search(rf'id="tool-{to}"[^>]*aria-current', page)


def test_shapes_and_qualities_can_be_walked_with_the_arrows(client: Client, db: None) -> None:
    page = client.get(reverse("generation:frame"), {"base": "flux-dev", "quality": "high"}).content.decode()
    radios = re.findall(r"<input[^>]*type=\"radio\"[^>]*>", page)
    assert len(radios) > 8 and all(' id="' in radio for radio in radios)


def test_what_stops_a_request_leaves_the_focus_in_its_place(client: Client, db: None, volume: Path) -> None:
    asked = pictured(state="queued", made=0)
    stop = f"stop-{asked.job.public_id}"
    assert stop in ids(client.get(asked.get_absolute_url()).content.decode())
    after = client.post(reverse("generation:cancel", args=[asked.job.public_id]), headers=HTMX).content.decode()
    assert stop in ids(after) and "Try again" in after


def test_what_stops_a_grid_leaves_the_focus_in_its_place(client: Client, db: None, volume: Path) -> None:
    asked = grid.start_grid(axes=[grid.Axis("steps", ("4", "8"))], prompt="a portrait", base="pocket")
    stop, url = f"stop-{asked.job.public_id}", reverse("generation:grid", args=[asked.job.public_id])
    for _ in range(2):
        assert client.get(url).content.decode().count(f'id="{stop}"') == 1
        client.post(reverse("generation:cancel", args=[asked.job.public_id]), headers=HTMX)


def test_a_picture_deleted_on_a_card_leaves_the_focus_in_its_place(client: Client, db: None, volume: Path) -> None:
    asked = pictured(made=2)
    bin_ = f"bin-{asked.job.public_id}-1"
    assert bin_ in ids(client.get(asked.get_absolute_url()).content.decode())
    url = reverse("generation:delete-output", args=[asked.job.public_id, 1])
    assert re.search(rf'id="{bin_}" tabindex="-1">deleted', client.post(url, headers=HTMX).content.decode())


def test_hearts_stars_and_the_bin_beside_a_picture_keep_the_focus(client: Client, db: None, volume: Path) -> None:
    output = add_output(pictured(made=0), 0)
    url = reverse("generation:picture", args=[output.generation.job.public_id, 0])
    assert ids(client.get(url).content.decode()) >= {"panel-favourite", "panel-star-3", "panel-bin"}
    client.post(f"{url}/delete", headers=HTMX)
    assert "panel-bin" in ids(client.get(url).content.decode())


def test_a_changed_board_keeps_the_focus(client: Client, db: None) -> None:
    board = Board.objects.create(name="Best")
    url = reverse("generation:pictures-board-change")
    renamed = client.post(url, {"rename": board.pk, "name": "Better"}, headers=HTMX).content.decode()
    gone = client.post(url, {"delete": board.pk}, headers=HTMX).content.decode()
    assert (focused(renamed), focused(gone)) == (["summary"], ["input"])


def test_a_forgotten_style_leaves_the_focus_beside_it(client: Client, db: Any) -> None:
    PromptStyle.objects.create(name="Foggy", text="fog")
    page = client.post(reverse("generation:delete-style"), {"name": "Foggy"}, headers=HTMX).content.decode()
    assert focused(page) == ["button"] and 'data-remember="generate-own-styles" open' in page
