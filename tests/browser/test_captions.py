"""Captions of many photos by hand: the button that changes them is pressed at once after the last letter."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sample_character

pytestmark = pytest.mark.browser


def test_a_slow_press_after_the_last_letter_changes_what_was_previewed(page: Page, live: str, photo: str) -> None:
    page.goto(f"/characters/{sample_character(live)}/captions?op=suffix")
    page.get_by_label("Words to add at the end").fill("in the rain")
    expect(page.get_by_test_id("caption-preview")).to_contain_text("change")
    page.get_by_test_id("caption-apply-btn").hover()
    page.mouse.down()
    page.wait_for_timeout(300)  # as long as a preview takes
    page.mouse.up()
    expect(page.get_by_text("captions changed.").first).to_be_visible()
    assert ask(live, f"/api/images/{photo}")["caption"].endswith("in the rain")
