"""The queue in a real browser: put in order by dragging, one training paused, resumed, stopped and gone on with."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TRAINING_SECONDS, ask

pytestmark = pytest.mark.browser
LONG = TRAINING_SECONDS * 1000
# Enough that the first still learns when the others have been put in order.
STEPS = 400


def wait_for_one(live: str, seed: int) -> str:
    """A training of the sample character that the others do not equal; its id."""
    mira = next(character for character in ask(live, "/api/characters") if character["name"] == "Mira")
    quick = {"sample_every_n_steps": 1000, "sample_count": 1, "preservation": 0, "batch_size": 1}
    config = {"steps": STEPS, "seed": seed, "checkpoint_every_n_steps": 2000, **quick}
    return str(ask(live, "/api/training", {"character_id": mira["id"], "config": config})["id"])


def waiting(page: Page) -> list[str]:
    rows = page.locator("#queue [data-sortable] > li")
    return [str(row.get_attribute("data-job-id")) for row in rows.all()]


def job(live: str, public_id: str) -> Any:
    return ask(live, f"/api/jobs/{public_id}")


def drag(page: Page, moved: str, onto: str) -> None:
    grip = page.locator(f"#queue li[data-job-id={moved}] [data-grip]")
    grip.drag_to(page.locator(f"#queue li[data-job-id={onto}]"), target_position={"x": 40, "y": 4})


def test_three_wait_the_last_is_dragged_first_and_the_running_one_is_paused_and_stopped(page: Page, live: str) -> None:
    page.set_default_timeout(LONG)  # the engine takes every core while the pages load
    first, second, third = (wait_for_one(live, seed) for seed in (101, 102, 103))
    page.goto(f"/training/{first}")
    expect(page.locator("[data-job-text=step]").first).to_have_text(re.compile(r"^[1-9]\d*$"), timeout=LONG)
    page.goto("/queue")
    assert waiting(page) == [second, third]
    drag(page, third, second)
    expect(page.get_by_text("The order was changed.")).to_be_visible(timeout=LONG)
    assert waiting(page) == [third, second]

    page.locator(f"#pause-{first}").click()
    expect(page.locator(f"#resume-{first}")).to_have_text("Resume", timeout=LONG)
    assert job(live, first)["paused"] and 0 < job(live, first)["current_step"] < STEPS
    expect(page.locator(f"#queue article[data-job={third}]")).to_be_visible(timeout=LONG)
    for other in (third, second):
        ask(live, f"/api/jobs/{other}/cancel", {})

    page.locator(f"#resume-{first}").click()
    page.goto(f"/training/{first}")
    page.locator("#stop-training").click()
    page.locator("#go-on-after").click(timeout=LONG)
    expect(page).not_to_have_url(re.compile(first))
    expect(page.locator("#live")).to_contain_text(f"of {first}")
    expect(page.get_by_test_id("job-status").first).to_have_text("Completed", timeout=LONG)
    expect(page.locator("#loss-chart canvas, .chart canvas").first).to_be_visible()
    assert ask(live, f"{page.url.removeprefix(live)}/chart")["steps"] == list(range(1, STEPS + 1))


def test_a_job_is_moved_by_keyboard_alone(page: Page, live: str) -> None:
    blocker, second, third = (wait_for_one(live, seed) for seed in (201, 202, 203))
    for waits in (second, third):
        ask(live, f"/api/jobs/{waits}/pause", {})
    page.goto("/queue")
    order = [public_id for public_id in waiting(page) if public_id in {second, third}]
    assert order == [second, third]
    page.locator(f"#up-{third}").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("was moved")).to_be_visible()
    assert [public_id for public_id in waiting(page) if public_id in {second, third}] == [third, second]
    for waits in (blocker, second, third):
        ask(live, f"/api/jobs/{waits}/cancel", {})
