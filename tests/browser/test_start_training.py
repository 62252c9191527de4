"""The way to a training in a browser: from the history to the form, presets and edits, a studio that fails."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import sample_character

pytestmark = pytest.mark.browser
BROKEN = re.compile(r"/training/plan")


def preset(page: Page, title: str) -> Locator:
    return page.get_by_role("radio", name=re.compile(f"^{title}"))


def test_history_ongoing_and_start_lead_to_each_other(page: Page) -> None:
    page.goto("/training")
    expect(page.locator("h1")).to_have_text("Training History")
    page.get_by_role("link", name="Ongoing Training").click()
    expect(page.locator("h1")).to_have_text("Ongoing Training")
    page.locator(".lucide-arrow-left").click()
    page.get_by_role("link", name="Start Training").first.click()
    expect(page).to_have_url(re.compile("/training/start$"))
    expect(page.locator("main h1, h1").first).to_have_text("Start Training")
    page.locator(".lucide-arrow-left").click()
    expect(page.locator("h1")).to_have_text("Training History")


def test_a_preset_fills_the_form_and_an_edit_makes_it_custom(page: Page) -> None:
    page.goto("/training/start")
    expect(preset(page, "Portrait")).to_be_checked()
    for title, steps in (("Quick", "100"), ("High Quality", "500")):
        preset(page, title).check(force=True)
        expect(preset(page, "Portrait")).not_to_be_checked()
        expect(page.locator("#steps")).to_have_value(steps)
    page.locator("#steps").fill("123")
    expect(preset(page, "Custom")).to_be_checked()
    page.get_by_text("Advanced Settings").click()
    expect(page.get_by_label("Learning rate")).to_be_visible()


def test_nothing_starts_before_somebody_is_chosen(page: Page, live: str) -> None:
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    page.goto("/training/start")
    button = page.get_by_test_id("start-training-btn")
    expect(button).to_be_disabled()
    page.locator("#steps").focus()
    page.keyboard.press("Enter")
    assert not [url for url in posted if "/training/start" in url]
    page.locator("select[name=character]").select_option(sample_character(live))
    expect(button).to_be_enabled()
    expect(page.locator("#plan .plan-time")).to_contain_text("~")
    page.locator("#steps").fill("-100")
    expect(page.locator("#plan")).to_contain_text("at least 100")


@pytest.mark.parametrize("broken", ["answers 500", "is away"])
def test_the_form_outlives_a_studio_that_fails(rough: Page, broken: str) -> None:
    rough.route(BROKEN, lambda route: route.fulfill(status=500) if broken == "answers 500" else route.abort())
    rough.goto("/training/start")
    with rough.expect_request(BROKEN):
        rough.locator("#steps").fill("150")
    expect(rough.locator("h1")).to_have_text("Start Training")
    rough.unroute(BROKEN)
    rough.locator("#steps").fill("160")
    expect(rough.locator("#plan")).to_contain_text("for 160 steps")
