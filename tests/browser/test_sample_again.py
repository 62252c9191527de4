"""From a training's sample to the same picture in Generate, in a browser: the same bits."""

import io
import urllib.request

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import TRAINING_SECONDS, ask

pytestmark = pytest.mark.browser
LONG = TRAINING_SECONDS * 1000


def pixels(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return Image.open(io.BytesIO(answer.read())).convert("RGB").tobytes()


def test_a_sample_is_drawn_again_by_one_click(page: Page, live: str, trained: str) -> None:
    job = ask(live, "/api/training?status=completed&limit=1")[0]["id"]
    page.goto(f"/training/{job}")
    shown = page.locator("#compare img").last.get_attribute("src")
    page.get_by_test_id("repeat-sample").click()
    page.wait_for_url("**/generate/gen-*", timeout=LONG)
    again = page.url.rsplit("/", 1)[1]
    expect(page.locator(f'img[src*="{again}/outputs"]').first).to_be_visible(timeout=LONG)
    made = ask(live, f"/api/generation/{again}")["outputs"][0]["url"]
    assert pixels(live + made) == pixels(live + str(shown))
