"""The queue in a real browser: put in order by dragging, one training paused, resumed, stopped and gone on with."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TRAINING_SECONDS, ask, start_training

pytestmark = pytest.mark.browser
LONG = TRAINING_SECONDS * 1000
# Enough that the first still learns when the others have been put in order.
STEPS = 240


def wait_for_one(live: str, seed: int, steps: int = STEPS) -> str:
    """A training of the sample character that the others do not equal; its id."""
    quick = {"sample_every_n_steps": 1000, "preservation": 0, "batch_size": 1, "checkpoint_every_n_steps": 2000}
    return start_training(live, steps, seed=seed, **quick)


def in_line(page: Page, *ids: str) -> None:
    """These wait in this order, whatever else waits among them."""
    rows = page.locator(", ".join(f"#queue li[data-job-id={public_id}]" for public_id in ids))
    for place, public_id in enumerate(ids):
        expect(rows.nth(place)).to_have_attribute("data-job-id", public_id)


def job(live: str, public_id: str) -> Any:
    return ask(live, f"/api/jobs/{public_id}")


def drag(page: Page, moved: str, onto: str) -> None:
    grip = page.locator(f"#queue li[data-job-id={moved}] [data-grip]")
    grip.drag_to(page.locator(f"#queue li[data-job-id={onto}]"), target_position={"x": 40, "y": 4})


def test_three_wait_the_last_is_dragged_first_and_the_running_one_is_paused_and_stopped(page: Page, live: str) -> None:
    page.set_default_timeout(LONG)  # the engine takes every core while the pages load
    page.goto("/queue")
    first, second, third = (wait_for_one(live, seed) for seed in (101, 102, 103))
    running = page.locator(f"#queue article[data-job={first}]")
    expect(running).to_be_visible(timeout=LONG)
    in_line(page, second, third)
    drag(page, third, second)
    in_line(page, third, second)

    expect(running.locator("[data-job-text=steps]")).to_have_text(re.compile(rf"^[1-9]\d* of {STEPS}$"), timeout=LONG)
    page.locator(f"#pause-{first}").click()
    expect(page.locator(f"#resume-{first}")).to_have_text("Resume", timeout=LONG)
    assert job(live, first)["paused"] and 0 < job(live, first)["current_step"] < STEPS
    expect(page.locator(f"#queue article[data-job={third}]")).to_be_visible(timeout=LONG)
    for other in (third, second):
        ask(live, f"/api/jobs/{other}/cancel", {})

    page.locator(f"#resume-{first}").click()
    expect(page.locator(f"#resume-{first}")).to_have_count(0)
    page.goto(f"/training/{first}")
    page.locator("#stop-training").click()
    page.locator("#go-on-after").click()
    expect(page).not_to_have_url(re.compile(first))
    expect(page.locator("#live")).to_contain_text(f"of {first}")
    expect(page.get_by_test_id("job-status").first).to_have_text("Completed", timeout=LONG)
    expect(page.locator("#loss-chart canvas")).to_be_visible()
    assert ask(live, f"{page.url.removeprefix(live)}/chart")["steps"] == list(range(1, STEPS + 1))


def test_a_job_is_moved_by_keyboard_alone(page: Page, live: str) -> None:
    blocker, second, third = wait_for_one(live, 201, 2000), wait_for_one(live, 202), wait_for_one(live, 203)
    for waits in (second, third):
        ask(live, f"/api/jobs/{waits}/pause", {})
    page.goto("/queue")
    # Its start makes the list anew, which may take a pressed button away with its answer.
    expect(page.locator(f"#queue article[data-job={blocker}]")).to_be_visible(timeout=LONG)
    in_line(page, second, third)
    page.locator(f"#up-{third}").focus()
    page.keyboard.press("Enter")
    in_line(page, third, second)
    for waits in (blocker, second, third):
        ask(live, f"/api/jobs/{waits}/cancel", {})
