"""Crops and masks by hand: the frame by keyboard, the brush by mouse, both kept by the studio."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, stroke

pytestmark = pytest.mark.browser


def test_the_frame_moves_by_keys_and_is_kept(page: Page, live: str, photo: str) -> None:
    page.goto(f"/photos/{photo}")
    page.locator("#panel-crop").scroll_into_view_if_needed()
    expect(page.locator("#crop .cropper-crop-box")).to_be_visible()
    page.get_by_role("group", name="Part of the photo").focus()
    for key in ("-", "-", "-", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator("#crop-seen")).to_contain_text("instead of the whole photo")
    crop = ask(live, f"/api/images/{photo}/crops")["crops"][0]
    assert crop["by"] == "user" and 0.5 < crop["width"] < 1
    assert f"/photos/{photo}" in page.url  # arrows in the editor do not turn the page


def test_a_stroke_of_the_brush_becomes_the_mask(page: Page, photo: str) -> None:
    page.goto(f"/photos/{photo}")
    page.locator("#panel-mask").scroll_into_view_if_needed()
    stroke(page, page.locator(".brush-stage canvas"))
    page.get_by_role("button", name="Save mask").click()
    expect(page.locator("#mask")).to_contain_text("Drawn by you")
