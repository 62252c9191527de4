"""The pages of the gallery: the grid, a character's own, panels, marks, boards, undo."""

import json

import pytest
from django.test import Client

from characters.models import Character
from generation.models import Board, Generation, Output
from generation.shown import GOING_ON
from tests.pages.rows import HTMX, queries, text

ME = "/pictures"


def test_an_empty_gallery_leads_to_generate(client: Client, db: None) -> None:
    assert "No pictures yet" in text(client.get(ME))


def test_every_picture_is_shown_newest_first(client: Client, outputs: list[Output]) -> None:
    page = text(client.get(ME))
    places = [page.index(f'id="t-{output.public_id}"') for output in outputs]
    assert places == sorted(places, reverse=True)


def test_a_character_has_a_gallery_of_its_own(client: Client, mira: Character, outputs: list[Output]) -> None:
    answer = client.get(f"/characters/{mira.public_id}?tab=pictures")
    assert answer["Location"] == f"/characters/{mira.public_id}/pictures"
    page = text(client.get(answer["Location"]))
    assert page.count("data-viewer-item") == 5 and "Next step" not in page and "hub-tabs" in page


def test_the_next_block_follows_without_javascript_too(
    client: Client, outputs: list[Output], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.gallery.shown.PAGE", 2)
    address = client.get(ME).context["next_url"]
    assert text(client.get(address, headers=HTMX)).count("data-viewer-item") == 2
    assert client.get(client.get(address)["Location"]).status_code == 200


def test_a_block_comes_again_without_what_is_gone(client: Client, outputs: list[Output]) -> None:
    ids = ",".join(output.public_id for output in outputs)
    client.post(f"{ME}/delete", {"image_ids": outputs[0].public_id}, headers=HTMX)
    page = text(client.get(f"{ME}/tiles?ids={ids}"))
    assert page.count("data-viewer-item") == 4 and outputs[0].public_id not in page


@pytest.mark.parametrize("tool", [tool.key for tool in GOING_ON])
def test_every_tool_goes_on_with_a_picture_in_one_click(client: Client, outputs: list[Output], tool: str) -> None:
    job = outputs[2].generation.job.public_id
    panel = text(client.get(f"{ME}/{job}/0", headers=HTMX))
    assert f'href="/generate?tool={tool}&amp;from={job}&amp;picture=0"' in panel


def test_the_panel_tells_the_recipe(client: Client, outputs: list[Output]) -> None:
    output = outputs[0]
    panel = text(client.get(f"{ME}/{output.generation.job.public_id}/0", headers=HTMX))
    assert "a portrait" in panel and str(output.seed) in panel and "Use recipe" in panel


def test_stars_and_hearts_of_one_picture_come_back_as_its_tile(client: Client, outputs: list[Output]) -> None:
    output = outputs[0]
    address = f"{ME}/{output.generation.job.public_id}/0/mark"
    client.post(address, {"favourite_to": "1"}, headers=HTMX)
    tile = text(client.post(address, {"to_rating": "4"}, headers=HTMX))
    output.refresh_from_db()
    assert (output.favourite, output.rating) == (True, 4) and tile.startswith("<li")


def test_six_stars_are_refused(client: Client, outputs: list[Output]) -> None:
    answer = client.post(f"{ME}/mark", {"image_ids": outputs[0].public_id, "to_rating": "6"}, headers=HTMX)
    assert answer.status_code == 400 and "0 (none) to 5" in answer.content.decode()


def test_a_heart_on_several_makes_all_of_them_favourites_and_then_none(client: Client, outputs: list[Output]) -> None:
    Output.objects.filter(pk=outputs[0].pk).update(favourite=True)
    asked = {"image_ids": ",".join(output.public_id for output in outputs[:3]), "favourite_to": "toggle"}
    client.post(f"{ME}/mark", asked, headers=HTMX)
    assert Output.objects.filter(favourite=True).count() == 3
    client.post(f"{ME}/mark", asked, headers=HTMX)
    assert not Output.objects.filter(favourite=True).exists()


def test_everything_that_a_filter_finds_is_rated_but_the_exceptions(client: Client, outputs: list[Output]) -> None:
    asked = {"all": "1", "except_ids": outputs[0].public_id, "to_rating": "2"}
    client.post(f"{ME}/mark", asked, headers=HTMX)
    assert Output.objects.filter(rating=2).count() == 4


def test_what_was_deleted_comes_back_by_its_toast(client: Client, outputs: list[Output]) -> None:
    answer = client.post(f"{ME}/delete", {"image_ids": outputs[0].public_id}, headers=HTMX)
    toast = json.loads(answer["HX-Trigger"])["toast"]
    assert Output.objects.count() == 4 and toast["message"] == "1 picture deleted."
    client.post(toast["undo"], headers=HTMX)
    assert Output.objects.count() == 5


def test_a_picture_deleted_in_the_viewer_leaves_it_open(client: Client, outputs: list[Output]) -> None:
    address = f"{ME}/{outputs[0].generation.job.public_id}/0"
    told = json.loads(client.post(f"{address}/delete", headers=HTMX)["HX-Trigger"])
    assert Output.objects.count() == 4 and "dialogs:close" not in told
    panel = client.get(address, headers=HTMX)
    assert "Bring it back" in text(panel)
    client.post(panel.context["undo_url"], headers=HTMX)
    assert Output.objects.count() == 5


def test_a_new_name_makes_a_board_with_the_chosen_pictures(client: Client, outputs: list[Output]) -> None:
    ids = f"{outputs[0].public_id},{outputs[1].public_id}"
    for _ in range(2):
        client.post(f"{ME}/board", {"image_ids": ids, "board_name": " Summer  days "}, headers=HTMX)
    board = Board.objects.get()
    assert (board.name, board.outputs.count()) == ("Summer days", 2)


def test_pictures_are_taken_off_a_board(client: Client, outputs: list[Output]) -> None:
    board = Board.objects.create(name="Best")
    board.outputs.add(*outputs)
    client.post(f"{ME}/board", {"image_ids": outputs[0].public_id, "off_board": board.pk}, headers=HTMX)
    assert board.outputs.count() == 4


def test_boards_are_made_renamed_and_deleted_without_their_pictures(client: Client, outputs: list[Output]) -> None:
    client.post(f"{ME}/boards/change", {"name": "One"}, headers=HTMX)
    board = Board.objects.get()
    board.outputs.add(outputs[0])
    page = text(client.post(f"{ME}/boards/change", {"rename": board.pk, "name": "Two"}, headers=HTMX))
    assert "Two" in page and "One" not in page
    client.post(f"{ME}/boards/change", {"delete": board.pk}, headers=HTMX)
    assert not Board.objects.exists() and Output.objects.count() == 5


def test_two_boards_cannot_share_a_name(client: Client, db: None) -> None:
    Board.objects.create(name="One")
    answer = client.post(f"{ME}/boards/change", {"name": "One"}, headers=HTMX)
    assert answer.status_code == 400 and "called One already" in answer.content.decode()


def test_two_chosen_pictures_stand_under_one_slider(client: Client, outputs: list[Output]) -> None:
    both = f"{outputs[1].public_id},{outputs[0].public_id}"
    page = text(client.get(f"{ME}/compare?image_ids={both}", headers=HTMX))
    assert page.index(outputs[1].url) < page.index(outputs[0].url) and "data-compare" in page


def test_three_pictures_cannot_be_compared(client: Client, outputs: list[Output]) -> None:
    ids = ",".join(output.public_id for output in outputs[:3])
    answer = client.get(f"{ME}/compare?image_ids={ids}", headers=HTMX)
    assert answer.status_code == 400 and "exactly two" in answer.content.decode()


def test_the_gallery_asks_no_row_by_itself(client: Client, outputs: list[Output]) -> None:
    few = queries(client, ME)
    Output.objects.filter(pk__in=[output.pk for output in outputs[:3]]).update(deleted_at="2026-01-31T00:00:00Z")
    assert queries(client, ME) == few


def test_a_tile_leads_to_its_thumbnail_and_says_what_was_not_simply_drawn(
    client: Client, outputs: list[Output]
) -> None:
    Generation.objects.filter(pk=outputs[0].generation_id).update(tool="upscale")
    page = text(client.get(ME))
    assert all(f'src="{output.thumb_url}"' in page for output in outputs)
    assert page.count('class="chip tile-kind">') == 1 and ">Upscale</span>" in page
