"""Lists longer than a page: a refresh brings all that was loaded, wherever the list had begun."""

import re
from collections.abc import Callable
from types import ModuleType

import pytest
from django.test import Client
from django.urls import reverse

import characters.views
import training.library.views
import training.views
from tests.pages.rows import HTMX, text, trained
from tests.people import make_character, make_lora

PAGE = 2


def a_training(number: int) -> None:
    trained(make_character(f"Training {number}"), "cancelled")


def a_lora(number: int) -> None:
    make_lora(make_character(f"LoRA {number}"))


def a_character(number: int) -> None:
    make_character(f"Person {number}", photos=0)


# The page, the module with its page size, what makes a row of it, and what marks one.
LISTS = [
    ("training:list", training.views, a_training, "data-job-id="),
    ("training:loras", training.library.views, a_lora, 'data-testid="lora-card"'),
    ("characters:list", characters.views, a_character, 'data-testid="character-card"'),
]


@pytest.fixture(params=LISTS, ids=lambda entry: entry[0])
def listed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, volume: object, db: None
) -> tuple[str, str, Callable[[int], None]]:
    """The address of a list of five rows, two a page; the mark of a row; what makes another."""
    name, module, make, mark = request.param
    assert isinstance(module, ModuleType)
    monkeypatch.setattr(module, "PAGE", PAGE)
    for number in range(5):
        make(number)
    return reverse(name), mark, make


def loaded(page: str) -> str:
    """What the list sends along when it is fetched again."""
    return str(re.findall(r'name="down_to" value="(\d+)"', page)[-1])


def next_page(page: str) -> str:
    return str(re.findall(r'class="load-more" hx-get="([^"]+)"', page)[-1].replace("&amp;", "&"))


def test_what_was_loaded_is_there_after_a_refresh(
    client: Client, listed: tuple[str, str, Callable[[int], None]]
) -> None:
    address, mark, make = listed
    second = text(client.get(next_page(text(client.get(address))), headers=HTMX))
    assert second.count(mark) == PAGE and 'hx-trigger="jobs:changed' not in second
    make(9)
    again = text(client.get(address, {"down_to": ["1", loaded(second)]}, headers=HTMX))
    assert again.count(mark) == 2 * PAGE + 1 and 'hx-trigger="jobs:changed' in again
    assert text(client.get(next_page(again), headers=HTMX)).count(mark) == 1


def test_a_page_of_its_own_address_is_refreshed_where_it_is(
    client: Client, listed: tuple[str, str, Callable[[int], None]]
) -> None:
    address, mark, _ = listed
    here = next_page(text(client.get(address)))
    page = text(client.get(here))
    assert f'hx-get="{here.replace("&", "&amp;")}" hx-include="this"' in page
    again = text(client.get(f"{here}&down_to={loaded(page)}", headers=HTMX))
    assert again.count(mark) == PAGE and loaded(again) == loaded(page) and "down_to=" not in again


@pytest.mark.parametrize("told", ["x", "-1", "9" * 5000, ""])
def test_a_strange_end_is_no_error(client: Client, listed: tuple[str, str, Callable[[int], None]], told: str) -> None:
    address, mark, _ = listed
    assert text(client.get(address, {"down_to": told}, headers=HTMX)).count(mark) >= PAGE
