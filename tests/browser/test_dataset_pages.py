"""The grid of photos with a person at it: choosing, deleting and taking back, the photo page, by mouse and keyboard."""

import io
import re
import urllib.request
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from isengard.engine.pocket.faces import sample_photos
from tests.browser.conftest import ask
from tests.browser.fitting import SIZES, fits, violations

pytestmark = pytest.mark.browser
# Two blocks and a little more; every photo another picture.
PHOTOS = 70


def send(live: str, character: str, files: list[tuple[str, bytes]]) -> None:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    head = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    url = f"{live}/api/characters/{character}/images"
    urllib.request.urlopen(urllib.request.Request(url, body, head), timeout=120).close()


def pictures(count: int) -> Iterator[tuple[str, bytes]]:
    picture = sample_photos(64, 1)[0][1]
    for number in range(count):
        picture.putpixel((number % 64, 0), (number, 2 * number, 255 - number))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        yield f"face-{number:02d}.png", buffer.getvalue()


@pytest.fixture(scope="module")
def owner(live: str) -> str:
    """A character of its own with 70 photos; its id."""
    character = ask(live, "/api/characters", {"name": "Grid", "trigger_word": "ohwxgrid"})
    send(live, character["id"], list(pictures(PHOTOS)))
    return str(character["id"])


@pytest.fixture
def tiles(page: Page, owner: str) -> Locator:
    """The dataset page, filtered to that character, with its tiles and its numbers there."""
    page.goto(f"/dataset?character={owner}")
    expect(page.locator("#total")).to_have_text(re.compile(rf"^{PHOTOS} photos"))
    return page.locator(".tile")


def in_order(tiles: Locator) -> list[str]:
    """The ids of the photos' links, first to last."""
    return [str(each) for each in tiles.locator("> a").evaluate_all("links => links.map((link) => link.id)")]


def chosen(page: Page) -> Locator:
    return page.locator("#selection [data-select-count]")


def to_the_end(page: Page) -> None:
    """The next block comes when the end is near; on a wide screen it may have come by itself."""
    page.evaluate("scrollTo(0, document.body.scrollHeight)")


def test_shift_chooses_a_range_and_escape_lets_go(page: Page, tiles: Locator) -> None:
    tiles.nth(1).hover()
    tiles.nth(1).locator("input").click()
    tiles.nth(8).locator("> a").click(modifiers=["Shift"])
    expect(chosen(page)).to_have_text("8 selected")
    tiles.nth(3).locator("> a").click()
    expect(chosen(page)).to_have_text("7 selected")
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()


def test_everything_that_matches_is_chosen_but_one(page: Page, tiles: Locator) -> None:
    page.keyboard.press("Control+a")
    expect(chosen(page)).to_have_text(f"{PHOTOS} selected")
    tiles.nth(0).locator("> a").click()
    expect(chosen(page)).to_have_text(f"{PHOTOS - 1} selected")


def test_deleted_photos_come_back_to_their_places(page: Page, tiles: Locator) -> None:
    before = in_order(tiles)[:9]
    tiles.nth(1).locator("> a").focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.keyboard.press("Delete")
    expect(page.locator(f"#{before[1]}, #{before[2]}")).to_have_count(0)
    expect(page.locator(f"#{before[3]}")).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f"#{before[1]}, #{before[2]}")).to_have_count(2)
    assert in_order(tiles)[:9] == before


def test_delete_on_a_focused_photo_needs_no_choice(page: Page, tiles: Locator) -> None:
    here = str(tiles.nth(0).locator("> a").get_attribute("id"))
    tiles.nth(0).locator("> a").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_test_id("toast")).to_contain_text("1 photo deleted.")
    expect(page.locator(f"#{here}")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f"#{here}")).to_be_visible()


def test_chosen_photos_are_tagged_and_found_by_the_tag(page: Page, tiles: Locator, owner: str) -> None:
    for index in (0, 1):
        tiles.nth(index).hover()
        tiles.nth(index).locator("input").click()
    page.get_by_role("button", name="Tag…").click()
    page.locator("#tag-dialog-tags").fill("Evening Light")
    page.locator("#tag-dialog").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#tag-dialog")).to_be_hidden()
    page.locator("#filter-tag").fill("evening light")
    page.locator("#filter-tag").press("Enter")
    expect(tiles).to_have_count(2)
    expect(page).to_have_url(re.compile(r"tag=evening\+light"))


def test_the_next_block_follows_and_the_end_is_one_key_away(page: Page, tiles: Locator) -> None:
    to_the_end(page)
    expect(tiles).to_have_count(PHOTOS)
    page.keyboard.press("End")
    expect(page).to_have_url(re.compile("cursor=last"))
    expect(page.get_by_text("Show the photos before these")).to_be_visible()
    page.get_by_text("Show the photos before these").click()
    expect(tiles).to_have_count(PHOTOS)


def test_arrows_lead_from_photo_to_photo_and_back_to_the_grid(page: Page, tiles: Locator) -> None:
    names = [str(tiles.nth(index).locator("input").get_attribute("aria-label"))[7:] for index in (0, 1)]
    tiles.nth(0).locator("> a").focus()
    page.keyboard.press(" ")
    expect(page.locator("h1")).to_have_text(names[0])
    expect(page.locator("#panel-tags .segmented")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text(names[1])
    page.locator("#photo-back").click()
    expect(tiles.first.locator("input")).to_have_attribute("aria-label", f"Select {names[1]}")


def test_the_browsers_way_back_leads_to_the_same_photo(page: Page, tiles: Locator) -> None:
    to_the_end(page)
    expect(tiles).to_have_count(PHOTOS)
    seen = tiles.nth(65).locator("> a").get_attribute("id")
    page.locator(f"#{seen}").click()
    page.locator("#photo").wait_for()
    page.go_back()
    expect(page.locator(f"#{seen}")).to_be_in_viewport()


def test_shift_and_x_choose_up_to_the_focused_photo(page: Page, tiles: Locator) -> None:
    tiles.nth(1).locator("> a").focus()
    page.keyboard.press("x")
    tiles.nth(4).locator("> a").focus()
    page.keyboard.press("Shift+X")
    expect(chosen(page)).to_have_text("4 selected")


def test_on_a_phone_one_panel_is_shown_at_a_time(page: Page, tiles: Locator) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    tiles.nth(0).locator("> a").click()
    page.locator(".panel-tabs label", has_text="Caption").click()
    expect(page.locator("#panel-caption textarea")).to_be_visible()
    expect(page.locator("#panel-tags")).to_be_hidden()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_grid_in_use_fits_every_width_and_every_person(page: Page, live: str, tiles: Locator, theme: str) -> None:
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live}])
    page.reload()
    expect(page.locator("#total")).to_have_text(re.compile(rf"^{PHOTOS} photos"))
    tiles.nth(0).locator("input").dispatch_event("click")
    for width in SIZES:
        fits(page, width)
    assert violations(page) == []


@pytest.mark.parametrize("width", SIZES)
def test_the_grid_fits_at_once_before_anything_is_resized(page: Page, owner: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": SIZES[width]})
    page.goto(f"/dataset?character={owner}")
    to_the_end(page)
    expect(page.locator(".tile")).to_have_count(PHOTOS)
    fits(page, width)
