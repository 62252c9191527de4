"""The page of a training in a browser: watched, asked, paused, zoomed into, compared, pinned and searched."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SCREENSHOTS, TRAINING_SECONDS, ask, start_training
from tests.browser.fitting import fits

pytestmark = pytest.mark.browser
# A machine that many share takes minutes for what takes seconds on a quiet one.
LONG = 2 * TRAINING_SECONDS * 1000
STEPS = 100
# Every answer takes a second, and there is news five times as often.
SLOW = """
const ask = window.fetch;
window.fetch = async (...all) => { await new Promise((go) => setTimeout(go, 1000)); return ask(...all); };
setInterval(() => document.querySelector("#loss-chart .chart")?.dispatchEvent(new Event("job:event")), 200);
"""


@pytest.fixture(scope="module")
def training(live: str) -> str:
    """A training of the sample character that saves and draws often; its id. It may still run."""
    return start_training(live, STEPS, sample_count=2, checkpoint_every_n_steps=50, max_checkpoints=2)


def shoot(page: Page, name: str) -> None:
    for width in (390, 1440, 1920) if SCREENSHOTS else ():
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_training_is_watched_asked_and_paused_without_a_reload(page: Page, training: str) -> None:
    page.goto(f"/training/{training}")
    page.evaluate("window.notReloaded = true")
    expect(page.get_by_test_id("checks")).to_contain_text("two steps work", timeout=LONG)
    expect(page.locator("#loss-chart canvas")).to_be_visible(timeout=LONG)
    page.locator("#save-now").click()
    expect(page.get_by_test_id("checkpoint").first).to_be_visible(timeout=LONG)
    shoot(page, "running")
    page.locator("#pause-training").click()
    expect(page.get_by_test_id("job-status")).to_have_text("Paused", timeout=LONG)
    page.get_by_text(re.compile("Machine: processor")).click()
    expect(page.get_by_test_id("machine").locator("canvas").first).to_be_visible(timeout=LONG)
    page.locator("#resume-training").click()
    expect(page.locator("#live")).to_contain_text("Taken up again after step", timeout=LONG)
    expect(page.get_by_test_id("job-status")).to_have_text("Completed", timeout=LONG)
    expect(page.locator(".samples thead th").last).to_have_text(str(STEPS))
    expect(page.locator("#loss-chart .u-legend")).to_contain_text("Taken up again")
    assert page.evaluate("window.notReloaded")


@pytest.fixture
def finished(page: Page, training: str) -> Page:
    """The page of that training once it has completed."""
    page.goto(f"/training/{training}")
    expect(page.get_by_test_id("job-status")).to_have_text("Completed", timeout=LONG)
    return page


def test_the_pages_of_a_finished_training_fit(finished: Page) -> None:
    finished.locator("#loss-chart canvas").wait_for()
    shoot(finished, "finished")
    for width in (390, 768, 1920):
        fits(finished, width)


def test_the_chart_zooms_by_dragging_and_goes_back(finished: Page) -> None:
    over = finished.locator("#loss-chart .u-over")
    width = over.evaluate("over => over.clientWidth")
    over.hover(position={"x": width * 0.25, "y": 40})  # once the pictures above it move it no more
    finished.mouse.down()
    for place in (0.5, 0.75):
        over.hover(position={"x": width * place, "y": 60})
    with finished.expect_response(re.compile(r"chart\?.*first=\d+&last=\d+")) as answered:
        finished.mouse.up()
    steps = answered.value.json()["steps"]
    assert STEPS * 0.15 < steps[0] < STEPS * 0.35 and STEPS * 0.65 < steps[-1] < STEPS * 0.85
    finished.get_by_role("button", name="Whole run").click()
    expect(finished.locator("#loss-form [name=first]")).to_have_value("")


def test_the_chart_is_smoothed_and_zoomed_by_keyboard(finished: Page) -> None:
    finished.locator("#loss-chart canvas").wait_for()
    with finished.expect_response(re.compile(r"chart\?smoothing=0&")):
        finished.locator("#loss-form [name=smoothing]").select_option("0")
    finished.locator("#loss-form [name=first]").fill("60")
    with finished.expect_response(re.compile("first=60")) as answered:
        finished.keyboard.press("Tab")
    assert answered.value.json()["steps"][0] == 60


def test_two_steps_are_compared_under_a_slider(finished: Page) -> None:
    finished.locator("#compare-left").select_option("50")
    expect(finished.locator("#compare-0-50-100 img")).to_have_count(2)
    finished.get_by_label("Compare step 50 with step 100").focus()
    for _ in range(5):
        finished.keyboard.press("ArrowRight")
    expect(finished.locator("#compare-0-50-100 .compare")).to_have_attribute("style", re.compile("55%"))


def test_a_chart_is_drawn_where_answers_take_longer_than_news_come(finished: Page) -> None:
    finished.add_init_script(SLOW)
    finished.reload()
    expect(finished.locator("#loss-chart canvas")).to_be_visible()


def test_charts_that_are_folded_away_ask_for_nothing_until_they_are_opened(finished: Page) -> None:
    asked: list[str] = []
    finished.on("request", lambda request: asked.append(request.url) if request.url.endswith("/machine?") else None)
    finished.evaluate("document.querySelectorAll('[data-chart-url]').forEach((one) => htmx.trigger(one, 'job:event'))")
    finished.locator("#loss-chart canvas").wait_for()
    finished.wait_for_timeout(500)
    assert asked == []
    finished.get_by_text(re.compile("Machine: processor")).click()
    expect(finished.get_by_test_id("machine").locator("canvas").first).to_be_visible()


def test_a_checkpoint_is_pinned_by_keyboard(finished: Page, live: str, training: str) -> None:
    pin = finished.locator("[id^=pin-]").first
    step = str(pin.get_attribute("id")).removeprefix("pin-")
    pin.focus()
    finished.keyboard.press("Enter")
    expect(finished.locator(f"#pin-{step}")).to_have_attribute("aria-pressed", "true")
    kept = {str(row["step"]): row["pinned"] for row in ask(live, f"/api/training/{training}/checkpoints")}
    assert kept[step]


def test_the_log_is_searched_and_filtered_in_place(finished: Page) -> None:
    lines = finished.get_by_test_id("training-logs").locator("li")
    expect(lines).not_to_have_count(0)
    every = lines.count()
    finished.locator("#log-search").press_sequentially("Saved a checkpoint", delay=20)
    expect(lines).not_to_have_count(every)
    expect(lines.first).to_contain_text("Saved a checkpoint")
    finished.locator("#log-search").fill("")
    level = finished.get_by_label("Level")
    level.focus()
    level.select_option("ERROR")
    expect(lines).to_contain_text(["Nothing in this log matches."])
    expect(level).to_be_focused()
    finished.locator("#clear-log").press("Enter")
    expect(lines).to_have_count(every)
