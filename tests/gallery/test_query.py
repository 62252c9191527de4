"""Finding pictures: every filter, every order, pages in both directions."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from characters.models import Character
from generation import grid, wearing
from generation.gallery import query
from generation.gallery.query import Filter
from generation.handlers import GenerationHandler
from generation.models import Board, Generation, Output
from isengard import storage
from isengard.errors import Invalid
from tests.pages.rows import add_output, pictured
from tests.people import make_lora


def found(**asked: Any) -> set[int]:
    return set(query.found(Filter.of(asked)).values_list("pk", flat=True))


def walked(sort: str, limit: int = 2) -> list[int]:
    """Every page in turn, in the order `sort`."""
    chosen, cursor, seen = Filter.of({"sort": sort}), "", list[int]()
    while True:
        page = query.page(chosen, cursor, limit)
        seen += [output.pk for output in page.outputs]
        if not (cursor := page.next):
            return seen


@pytest.mark.parametrize("sort", ["newest", "oldest", "best", "worst"])
def test_pages_walk_through_every_picture_once_in_order(outputs: list[Output], sort: str) -> None:
    for output, stars in zip(outputs, (3, 0, 5, 3, 0), strict=True):
        Output.objects.filter(pk=output.pk).update(rating=stars)
    order = {"newest": "-id", "oldest": "id", "best": "-rating", "worst": "rating"}[sort]
    ties = "-id" if order.startswith("-") else "id"
    assert walked(sort) == list(Output.objects.order_by(order, ties).values_list("pk", flat=True))


@pytest.mark.parametrize("sort", ["newest", "best"])
def test_a_page_leads_back_to_the_one_before_it(outputs: list[Output], sort: str) -> None:
    chosen = Filter.of({"sort": sort})
    first = query.page(chosen, "", 2)
    second = query.page(chosen, first.next, 2)
    again = query.page(chosen, second.previous, 2)
    assert [output.pk for output in again.outputs] == [output.pk for output in first.outputs]


def test_the_last_page_is_reached_at_once(outputs: list[Output]) -> None:
    page = query.page(Filter.of({}), query.LAST, 2)
    assert [output.pk for output in page.outputs] == [outputs[1].pk, outputs[0].pk] and not page.next


def test_words_of_the_prompt_are_found_by_their_starts(mira: Character, outputs: list[Output]) -> None:
    Generation.objects.filter(pk=outputs[0].generation_id).update(prompt="A Café, (rainy:1.2) NIGHT")
    assert found(q="café rain") == {outputs[0].pk}
    assert found(q="café sunny") == set()


def test_a_picture_with_words_of_its_own_is_found_by_those_only(outputs: list[Output]) -> None:
    Output.objects.filter(pk=outputs[0].pk).update(prompt="a red hat")
    assert found(q="hat") == {outputs[0].pk}
    assert outputs[0].pk not in found(q="portrait")


@pytest.mark.parametrize("text", ["'", "a & | !", "<b>:*", "\\", "🙂"])
def test_nonsense_in_the_search_box_finds_nothing_and_breaks_nothing(outputs: list[Output], text: str) -> None:
    assert found(q=text) <= {output.pk for output in outputs}


def test_only_the_characters_pictures_are_found(mira: Character, outputs: list[Output]) -> None:
    stranger = add_output(pictured(made=0), 0)
    assert found(character=mira.public_id) == {output.pk for output in outputs}
    assert found(character="char-00000000") == set() and stranger.pk in found()


def test_only_the_loras_pictures_are_found(mira: Character, outputs: list[Output]) -> None:
    add_output(pictured(made=0), 0)
    lora = outputs[0].generation.lora
    assert lora is not None and found(lora=lora.public_id) == {output.pk for output in outputs}


def test_pictures_that_wear_a_lora_beside_another_are_found_too(mira: Character, outputs: list[Output]) -> None:
    lora, pair = outputs[0].generation.lora, add_output(pictured(made=0), 0)
    assert lora is not None
    beside = [{"id": lora.public_id, "name": "Mira", "strength": 1.0}]
    Generation.objects.filter(pk=pair.generation_id).update(more_loras=beside)
    assert found(lora=lora.public_id) == {pair.pk, *(output.pk for output in outputs)}


@pytest.fixture
def cells(mira: Character) -> tuple[list[str], list[Output]]:
    """The LoRAs of a grid and its pictures, one each, as a worker stores them."""
    keys = [make_lora(mira, version, active=False).public_id for version in (8, 9)]
    axis = grid.Axis("lora", (*keys, ""))
    asked = grid.start_grid(axes=[axis], prompt="x", base="pocket", worn=wearing.get(keys[0]))
    sizes = {"width": 8, "height": 8, "size_bytes": 1, "seconds": 1.0}
    for index in range(3):
        path = str(storage.absolute(f"{storage.output_key(asked.job.public_id)}/{index:02d}.png"))
        GenerationHandler().on_event(asked.job, {"type": "output", "path": path, "index": index, "seed": 1, **sizes})
    return keys, list(asked.outputs.order_by("index"))


def test_a_cell_of_a_grid_is_found_by_the_lora_that_it_wears(cells: tuple[list[str], list[Output]]) -> None:
    keys, made = cells
    assert [found(lora=key) for key in keys] == [{made[0].pk}, {made[1].pk}]
    assert [output.lora_key for output in made] == [*keys, None]


def test_cells_that_were_drawn_before_are_found_by_theirs(cells: tuple[list[str], list[Output]]) -> None:
    keys, made = cells
    Output.objects.update(worn=None)
    assert found(lora=keys[1]) == set()
    import_module("generation.migrations.0007_worn_in_cells").fill(apps, None)
    assert [found(lora=key) for key in keys] == [{made[0].pk}, {made[1].pk}]


def test_a_cell_tells_its_own_recipe(client: Client, cells: tuple[list[str], list[Output]]) -> None:
    _, made = cells
    pages = [client.get(f"/pictures/{made[0].generation.job.public_id}/{at}").content.decode() for at in range(3)]
    assert ["Mira v8</dt>" in page for page in pages] == [True, False, False]
    assert ["Mira v9</dt>" in page for page in pages] == [False, True, False]


def test_favourites_and_ratings_narrow(outputs: list[Output]) -> None:
    Output.objects.filter(pk=outputs[0].pk).update(favourite=True, rating=2)
    Output.objects.filter(pk=outputs[1].pk).update(rating=4)
    assert found(favourite="1") == {outputs[0].pk}
    assert found(rating="3") == {outputs[1].pk}


def test_kinds_are_tools_and_training_pictures(outputs: list[Output]) -> None:
    Generation.objects.filter(pk=outputs[0].generation_id).update(tool="upscale")
    Generation.objects.filter(pk=outputs[1].generation_id).update(purpose="synthetic")
    assert (found(kind="upscale"), found(kind="synthetic")) == ({outputs[0].pk}, {outputs[1].pk})


def test_days_include_both_ends(outputs: list[Output]) -> None:
    Output.objects.filter(pk=outputs[0].pk).update(created_at="2026-01-31T23:59:59Z")
    assert found(since="2026-01-31", until="2026-01-31") == {outputs[0].pk}
    assert found(until="2026-01-30") == set()


def test_a_board_shows_what_is_on_it(outputs: list[Output]) -> None:
    board = Board.objects.create(name="Best")
    board.outputs.add(outputs[2])
    assert found(board=str(board.pk)) == {outputs[2].pk}


@pytest.mark.parametrize(
    "asked", [{"rating": "6"}, {"kind": "magic"}, {"sort": "x"}, {"board": "1;"}, {"since": "2026-13-01"}]
)
def test_a_filter_that_nobody_offers_is_refused(db: None, asked: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        found(**asked)


@pytest.mark.parametrize("cursor", ["after", "after.x", "after.9.1", "sideways.3", "after.1.3"])
def test_a_cursor_that_is_none_is_refused(db: None, cursor: str) -> None:
    with pytest.raises(Invalid, match="not one of ours"):
        query.page(Filter.of({}), cursor)


def test_pictures_in_the_bin_are_not_found(outputs: list[Output]) -> None:
    Output.objects.filter(pk=outputs[0].pk).update(deleted_at="2026-01-31T00:00:00Z")
    assert outputs[0].pk not in found()
