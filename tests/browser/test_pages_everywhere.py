"""Every page at phone, tablet and desktop width: nothing sticks out, nothing fails, everybody can use it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.browser.fitting import SIZES, fits, violations

pytestmark = pytest.mark.browser
PAGES = [
    "/characters",
    "/characters/new",
    "/characters/{character}",
    "/characters/{character}?tab=training",
    "/characters/{character}?tab=loras",
    "/characters/{character}/pictures",
    "/characters/{character}/synthetic",
    "/characters/{character}/edit",
    "/dataset",
    "/dataset/tags",
    "/photos/{photo}",
    "/training",
    "/training/start?character={character}",
    "/training/ongoing",
    "/training/{training}",
    "/generate",
    "/pictures",
    "/pictures/boards",
    "/pictures/storage",
    "/queue",
    "/logs",
    "/video",
]


@pytest.fixture(scope="module")
def ids(live: str, trained: str) -> dict[str, str]:
    """A trained character, its training and one of its photos, whichever test made them."""
    run = next(run for run in ask(live, "/api/training") if run["status"] == "completed")
    photo = ask(live, f"/api/images?character={run['character_id']}")["images"][0]["id"]
    return {"character": run["character_id"], "training": run["id"], "photo": photo}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_every_width_and_every_person(page: Page, ids: dict[str, str], path: str) -> None:
    page.goto(path.format(**ids))
    expect(page.locator("#status .badge")).not_to_have_text("Checking…")
    for width in SIZES:
        fits(page, width)
        if width in {390, 1440}:
            assert violations(page) == []


@pytest.mark.parametrize("path", ["/characters/{character}", "/training/{training}", "/generate", "/training/start"])
def test_the_light_theme_can_be_read(page: Page, live: str, ids: dict[str, str], path: str) -> None:
    page.context.add_cookies([{"name": "theme", "value": "light", "url": live}])
    page.goto(path.format(**ids))
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("#status .badge")).not_to_have_text("Checking…")
    assert violations(page) == []


def test_the_keyboard_leads_everywhere(page: Page) -> None:
    page.goto("/characters")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.type("gg")  # the second has to follow within a second
    page.wait_for_url("**/generate")
    page.keyboard.press("/")
    expect(page.locator("#prompt")).to_be_focused()


def test_a_first_tab_skips_to_the_content(page: Page) -> None:
    page.goto("/training")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_a_lost_connection_is_said_and_taken_back(rough: Page) -> None:
    rough.goto("/training")
    expect(rough.locator("#status .badge")).not_to_have_text("Checking…")
    rough.context.set_offline(True)
    expect(rough.locator(".connection")).to_contain_text("No live connection")
    expect(rough.locator("h1")).to_have_text("Training History")
    rough.context.set_offline(False)
    # It may have come back by itself a moment ago, and taken the button with it.
    rough.locator(".connection button").dispatch_event("click")
    expect(rough.locator(".connection")).to_be_hidden(timeout=20_000)


def test_a_missing_page_leads_back(rough: Page) -> None:
    rough.goto("/characters/char-00000000")
    expect(rough.locator("main, body").first).to_contain_text("not found")
    assert violations(rough) == []
