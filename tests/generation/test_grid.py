"""Grids: what each cell is drawn with, what is refused, the page and the file that needs no server."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from characters.models import Character
from generation import grid, services, wearing
from generation.grid import Axis
from generation.handlers import GenerationHandler
from generation.models import Generation
from isengard.errors import DomainError, Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from tests.pages.rows import HTMX, add_output, put
from tests.people import make_character, make_lora
from training.services import delete_lora

SEEDS = Axis("seed", ("1", "2"))


def start(*axes: Axis, prompt: str = "a red hat", **asked: Any) -> Generation:
    return grid.start_grid(axes=axes, prompt=prompt, **asked)


def test_every_combination_is_a_cell_with_its_own_words_and_numbers(db: None, volume: Path) -> None:
    made = start(Axis("steps", ("5", "9")), SEEDS, Axis("replace", ("red", "blue")))
    cells = [(cell["params"]["steps"], cell["seed"], cell["prompt"]) for cell in made.variants]
    assert cells[:3] == [(5, 1, "a red hat"), (5, 1, "a blue hat"), (5, 2, "a red hat")]
    assert (made.count, len(set(cells)), made.seeds) == (8, 8, (1, 1, 2, 2, 1, 1, 2, 2))


def test_loras_and_strengths_cross(mira: Character) -> None:
    lora, other = make_lora(mira), make_lora(make_character("Joon", "ohwxjoon"))
    both = Axis("lora", (lora.public_id, other.public_id))
    made = start(Axis("strength", ("0.5", "1")), both, worn=wearing.of_lora(lora), prompt="smiling")
    worn = [(cell["loras"][0]["name"], cell["loras"][0]["strength"], cell["prompt"]) for cell in made.variants]
    assert worn[1] == ("Joon v1", 0.5, "ohwxjoon, smiling") and worn[2] == ("Mira v1", 1.0, "ohwxmira, smiling")


def test_the_engine_is_told_of_every_cell(mira: Character) -> None:
    lora = make_lora(mira)
    made = start(Axis("strength", ("0", "1")), SEEDS, worn=wearing.of_lora(lora), prompt="smiling")
    spec = GenerationHandler().spec(made.job)
    assert [variant["loras"][0]["strength"] for variant in spec["variants"]] == [0, 0, 1, 1]
    assert spec["seeds"] == (1, 2, 1, 2)


@pytest.mark.parametrize(
    "axes",
    [
        (),
        (SEEDS, SEEDS),
        (Axis("seed", ()),),
        (Axis("seed", tuple(str(n) for n in range(17))),),
        (Axis("seed", tuple("123456789")), Axis("steps", tuple("12345678"))),
        (Axis("seed", ("x",)),),
        (Axis("seed", ("-1",)),),
        (Axis("steps", ("0",)),),
        (Axis("strength", ("1",)),),
        (Axis("guidance_scale", ("nan",)),),
        (Axis("replace", ("green", "blue")),),
        (Axis("replace", (" ", "blue")),),
        (Axis("seed", ("1", " 1")),),
        (Axis("lora", ("lora-x",)),),
        (Axis("sampler", ("warp",)),),
        (Axis("speed", ("exact",)),),
    ],
)
def test_grids_that_cannot_be_drawn_are_refused(db: None, volume: Path, axes: tuple[Axis, ...]) -> None:
    with pytest.raises(Invalid):
        start(*axes)
    assert not Job.objects.exists()


def test_an_empty_grid_is_asked_what_to_compare(client: Client, db: None, volume: Path) -> None:
    page = client.post("/generate/grid", {"prompt": "a hat", "base": "pocket"})
    assert "Say what the grid is to compare" in page.content.decode()


def test_a_strength_of_a_hundred_is_refused_in_a_cell(mira: Character) -> None:
    with pytest.raises(Invalid, match="must be from 0 to 2"):
        start(Axis("strength", ("1", "100")), worn=wearing.of_lora(make_lora(mira)))


def test_a_lora_of_a_cell_deleted_while_queued_is_named(mira: Character) -> None:
    other = make_lora(make_character("Joon", "ohwxjoon"))
    made = start(Axis("lora", (make_lora(mira).public_id, other.public_id)))
    delete_lora(lora=other)
    with pytest.raises(DomainError, match="Joon v1 was deleted"):
        GenerationHandler().spec(made.job)


def test_a_retry_draws_the_same_grid(db: None, volume: Path) -> None:
    made = start(SEEDS)
    jobs.request_cancel(job=made.job)
    again = jobs.retry(job=Job.objects.get(pk=made.job_id)).generation
    assert (again.axes, again.variants, again.count) == (made.axes, made.variants, 2)


@pytest.fixture
def drawn(db: None, volume: Path) -> Generation:
    made = start(Axis("steps", ("5", "9")), SEEDS, prompt="a <b>hat</b>")
    put(made.job, "completed")
    for index in (0, 1, 2):
        add_output(made, index)
    return made


def test_pictures_stand_at_their_places(drawn: Generation) -> None:
    (table,) = grid.tables(drawn)
    assert table.columns == ["5", "9"] and [label for label, _ in table.rows] == ["1", "2"]
    assert [[cell["index"] for cell in cells] for _, cells in table.rows] == [[0, 2], [1, 3]]


def test_columns_and_rows_change_places(client: Client, drawn: Generation) -> None:
    (table,) = grid.tables(drawn, grid.ordered(drawn, "10"))
    assert table.columns == ["1", "2"] and [[cell["index"] for cell in cells] for _, cells in table.rows] == [
        [0, 1],
        [2, 3],
    ]
    page = client.get(reverse("generation:grid", args=[drawn.job.public_id]) + "?order=10").content.decode()
    assert "Columns: Seed · Rows: Steps" in page and "grid.html?order=10" in page and 'href="?order=01"' in page


@pytest.mark.parametrize("word", ["", "0", "012", "00", "x\N{SUPERSCRIPT TWO}", "1" * 5000])
def test_an_order_that_says_nothing_is_the_grids_own(drawn: Generation, word: str) -> None:
    assert grid.ordered(drawn, word) == (0, 1)


def test_three_axes_may_stand_in_every_order(db: None, volume: Path) -> None:
    made = start(Axis("steps", ("5", "9")), SEEDS, Axis("replace", ("red", "blue")))
    tables = grid.tables(made, grid.ordered(made, "201"))
    cells = [cell["index"] for table in tables for _, row in table.rows for cell in row]
    assert [table.title for table in tables] == ["1", "2"] and cells == [0, 1, 4, 5, 2, 3, 6, 7]
    assert [label for label, _ in grid.swaps((2, 0, 1))] == ["Swap columns and rows", "Swap rows and tables"]


def test_samplers_are_compared_by_their_names(db: None, volume: Path) -> None:
    made = start(Axis("sampler", ("euler", "dpmpp_2m")))
    assert [cell["params"] for cell in made.variants] == [{"sampler": "euler"}, {"sampler": "dpmpp_2m"}]
    assert made.axes[0]["labels"] == ["Euler", "DPM++ 2M"]


def test_the_page_shows_cells_and_gaps(client: Client, drawn: Generation) -> None:
    page = client.get(reverse("generation:grid", args=[drawn.job.public_id])).content.decode()
    assert page.count("data-viewer-item") == 3 and page.count("not drawn") == 1 and "<b>hat" not in page


def test_the_file_holds_its_pictures_and_asks_no_server(client: Client, drawn: Generation) -> None:
    answer = client.get(reverse("generation:grid-file", args=[drawn.job.public_id]))
    page = answer.content.decode()
    assert answer.headers["Content-Disposition"].startswith("attachment") and "<b>hat" not in page
    assert page.count("data:image/webp;base64,") == 3 and "http" not in page.replace("http-equiv", "")


def test_pictures_that_are_no_grid_have_no_grid_page(client: Client, db: None, volume: Path) -> None:
    made = services.start_generation(prompt="a hat")
    assert client.get(reverse("generation:grid", args=[made.job.public_id])).status_code == 404


def test_the_form_starts_a_grid_and_goes_there(client: Client, db: None, volume: Path) -> None:
    sent = {"prompt": "a hat", "base": "pocket", "grid_seed": "1, 2,3", "grid_prompt": "a cap\na crown\n"}
    answer = client.post(reverse("generation:start-grid"), sent, headers=HTMX)
    made = Generation.objects.get()
    assert answer.headers["HX-Redirect"].endswith(f"{made.job.public_id}/grid") and made.count == 6


def test_a_refused_grid_brings_the_form_back(client: Client, db: None, volume: Path) -> None:
    sent = {"prompt": "a hat", "base": "pocket", "grid_seed": "one"}
    answer = client.post(reverse("generation:start-grid"), sent, headers=HTMX)
    assert answer.status_code == 422 and "is no number" in answer.content.decode()


def test_samplers_of_a_grid_are_ticked(client: Client, db: None, volume: Path) -> None:
    assert (
        'type="checkbox" name="grid_sampler" value="heun"' in client.get(reverse("generation:create")).content.decode()
    )
    sent = {"prompt": "a hat", "base": "pocket", "grid_sampler": ["euler", "heun"]}
    client.post(reverse("generation:start-grid"), sent, headers=HTMX)
    assert Generation.objects.get().axes[0]["values"] == ["euler", "heun"]
