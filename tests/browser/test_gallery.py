"""The gallery in a real browser: drawn pictures are found, rated by keyboard, compared, put on a board, packed, deleted
and brought back; training pictures are kept and thrown away."""

import re
import time
import zipfile

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.browser.conftest import TRAINING_SECONDS, ask, completed, sample_character

pytestmark = pytest.mark.browser


def drawn(live: str, path: str, body: dict[str, object]) -> str:
    """Asks for pictures over the API and waits until they are there; the request's id."""
    return completed(live, ask(live, path, body)["id"])


@pytest.fixture(scope="module")
def made(live: str) -> str:
    config = {"prompt": "a gallery portrait", "base_model": "pocket", "steps": 2, "seed": 5}
    return drawn(live, "/api/generation", {"config": config, "count": 3})


def tiles(page: Page) -> Locator:
    return page.get_by_test_id("output-gallery").locator(".tile")


def opened(page: Page) -> None:
    """The pictures of this module alone, newest first."""
    page.goto("/pictures?q=gallery+portrait")
    expect(tiles(page)).to_have_count(3)


def test_hearts_and_stars_are_given_by_keyboard_in_the_grid_and_in_the_viewer(page: Page, made: str) -> None:
    opened(page)
    first = tiles(page).first
    first.locator("a").first.focus()
    page.keyboard.press("4")
    expect(first.locator(".tile-badge")).to_contain_text("4")
    expect(first.locator("a").first).to_be_focused()
    page.keyboard.press("Enter")
    panel = page.locator("[data-viewer-panel]")
    expect(panel).to_contain_text("a gallery portrait")
    page.keyboard.press("f")
    expect(panel.locator("[aria-pressed=true]")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(panel.locator(".star-on")).to_have_count(0)
    panel.locator(".star").nth(1).click()
    expect(panel.locator(".star-on")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(first.locator(".tile-badge svg")).to_have_count(2)


PRESSED_AS_IT_COMES = """tile => new MutationObserver((_, watch) => {
  watch.disconnect();
  document.getElementById(tile).querySelector("[data-viewer-key=f]").click();
}).observe(document.getElementById(tile).parentElement, { childList: true })"""


def test_a_tile_that_was_just_put_in_place_already_answers_without_leaving_the_page(page: Page, made: str) -> None:
    opened(page)
    last = tiles(page).last
    page.evaluate(PRESSED_AS_IT_COMES, last.get_attribute("id"))
    last.hover()
    last.get_by_role("button", name="3 stars").click()
    expect(last.locator("[aria-pressed=true]")).to_have_count(1)
    assert "/pictures?q=gallery" in page.url


def test_two_chosen_pictures_are_compared_under_a_slider(page: Page, made: str) -> None:
    opened(page)
    for place in (0, 1):
        tiles(page).nth(place).locator("a").first.click(modifiers=["Control"])
    page.get_by_role("button", name="Compare").click()
    slider = page.locator("#bulk-dialog [data-compare]")
    expect(slider.locator("img")).to_have_count(2)
    slider.get_by_role("slider").fill("20")
    expect(slider).to_have_attribute("style", re.compile("20%"))


def test_chosen_pictures_go_on_a_board_and_into_an_archive(page: Page, made: str) -> None:
    opened(page)
    tiles(page).first.locator("a").first.click(modifiers=["Control"])
    tiles(page).nth(2).locator("a").first.click(modifiers=["Shift"])
    page.get_by_role("button", name="Board…").click()
    page.locator("#board-name").fill("Walked")
    page.keyboard.press("Enter")
    expect(page.locator("#filter-board")).to_contain_text("Walked (3)")
    page.locator(".select-bar summary", has_text="Download").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="ZIP with recipes").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        entries = [archive.read(name) for name in archive.namelist()]
    assert len(entries) == 3 and all(b"a gallery portrait" in entry for entry in entries)


def test_a_picture_deleted_in_the_viewer_comes_back(page: Page, made: str) -> None:
    opened(page)
    tiles(page).first.locator("a").first.click()
    expect(page.locator("[data-viewer-panel]")).to_contain_text("Recipe")
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator("[data-viewer-panel] .star")).to_have_count(5)
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Bring it back")).to_be_visible()
    page.get_by_role("button", name="Undo").last.click()
    expect(page.locator("[data-viewer-panel] .star")).to_have_count(5)
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Bring it back")).to_be_visible()
    page.keyboard.press("Escape")
    expect(tiles(page)).to_have_count(2)
    page.get_by_role("button", name="Undo").last.click()
    expect(tiles(page)).to_have_count(3)


def test_one_picture_is_cancelled_by_keyboard_and_the_gallery_fills_itself_with_the_others(
    page: Page, live: str
) -> None:
    page.goto("/pictures?q=fills+itself")
    expect(page.get_by_text("No matching pictures")).to_be_visible()
    config = {"prompt": "a gallery fills itself", "base_model": "pocket", "steps": 80, "seed": 5}
    other, asked = page.context.new_page(), []

    def late(socket: WebSocketRoute) -> None:
        """It opens when the request, which the page was made without, is already being drawn."""
        asked.append(ask(live, "/api/generation", {"config": config, "count": 3})["id"])
        while ask(live, f"/api/jobs/{asked[0]}")["status"] == "queued":
            time.sleep(0.1)
        socket.connect_to_server()

    other.route_web_socket(re.compile("/ws/jobs/$"), late)
    other.goto("/generate")
    card = other.locator("article").first
    last = card.get_by_role("button", name="Cancel this picture").nth(2)
    last.focus()
    other.keyboard.press("Enter")
    expect(card.get_by_text("cancelled by you", exact=True)).to_be_focused()
    expect(tiles(page)).to_have_count(2, timeout=TRAINING_SECONDS * 1000)
    expect(card).to_contain_text("2 of 3 pictures were made; 1 was cancelled by you.")


def test_training_pictures_are_kept_and_thrown_away_one_by_one(page: Page, live: str, trained: str) -> None:
    mira = sample_character(live)
    drawn(live, f"/api/characters/{mira}/synthetic", {"count": 2})
    page.goto(f"/characters/{mira}/synthetic")
    staged = page.get_by_test_id("staging-area").locator(".staged")
    expect(staged).to_have_count(2)
    staged.first.get_by_role("button", name="Keep").click()
    expect(staged).to_have_count(1)
    staged.first.get_by_role("button", name="Discard").click()
    expect(staged).to_have_count(0)
    assert len(ask(live, f"/api/images?character={mira}&split=synthetic")["images"]) == 1
