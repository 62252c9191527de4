"""The LoRA library in a real browser: a file goes in, says what it is, draws, goes out in another style, comes back."""

import io
import re
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import SCREENSHOTS, TRAINING_SECONDS, ask, follow
from tests.browser.fitting import fits, violations

pytestmark = pytest.mark.browser
PROMPT = "a portrait of ohwx that is the same from every file"
LONG = TRAINING_SECONDS * 1000


def upload(page: Page, path: Path, name: str) -> str:
    """The file as a new character's first version; the address of its page."""
    page.goto("/loras")
    page.get_by_role("link", name="Upload a LoRA").click()
    page.locator("input[type=file]").set_input_files(path)
    page.locator("#name").fill(name)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("h1")).to_have_text(f"{name} v1")
    return page.url


def download(page: Page, style: str, folder: Path) -> Path:
    with page.expect_download() as started:
        page.locator(f"#download-{style}").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def drawn(page: Page, live: str) -> np.ndarray:
    """The picture of seed 7 that the LoRA on whose page we are draws, asked for as a person would."""
    follow(page, page.get_by_role("link", name="Make pictures"))
    cards = page.locator("article", has_text=PROMPT)
    before = cards.count()
    page.locator("#prompt").fill(PROMPT)
    page.locator("details[data-remember=generate-more]").evaluate("more => { more.open = true; }")
    page.locator("#seed").fill("7")
    page.locator("#steps").fill("6")
    page.get_by_test_id("generate-btn").click()
    expect(cards).to_have_count(before + 1, timeout=LONG)
    made = cards.first.locator("[data-viewer-item]")
    expect(made).to_have_count(1, timeout=LONG)
    with urllib.request.urlopen(live + str(made.get_attribute("href")), timeout=60) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())))


def look(page: Page, name: str) -> None:
    """Fits every width, can be used by everybody; kept as pictures where somebody wants to see them."""
    for width in (390, 768, 1440):
        fits(page, width)
        assert violations(page) == []
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}.png", full_page=True)


def test_a_file_comes_in_draws_goes_out_and_comes_back_the_same(
    page: Page, live: str, trained: str, tmp_path: Path
) -> None:
    page.goto(f"/loras/{trained}")
    first = download(page, "kohya", tmp_path)
    expected = drawn(page, live)
    address = upload(page, first, "Anna")
    report = page.get_by_test_id("lora-report")
    expect(report).to_contain_text("kohya (sd-scripts")
    expect(report).to_contain_text("in 2 double and 3 single blocks")
    look(page, "lora-uploaded")
    assert np.array_equal(drawn(page, live), expected)
    page.goto(address)
    (tmp_path / "again").mkdir()
    upload(page, download(page, "kohya", tmp_path / "again"), "Nora")
    assert np.array_equal(drawn(page, live), expected)


def test_the_same_file_again_says_where_it_is(rough: Page, live: str, trained: str, tmp_path: Path) -> None:
    rough.goto(f"/loras/{trained}")
    path = download(rough, "diffusers", tmp_path)
    rough.goto(f"/loras/upload?character={ask(live, f'/api/loras/{trained}')['character_id']}")
    rough.locator("input[type=file]").set_input_files(path)
    rough.get_by_role("button", name="Upload").click()
    expect(rough.locator(".field-error")).to_contain_text(re.compile(r"This very file is here already, as Mira v\d+\."))
    look(rough, "upload-refused")


def test_a_version_is_named_weighed_and_found(page: Page, live: str, trained: str) -> None:
    page.goto(f"/loras/{trained}")
    look(page, "lora")
    page.locator("#name").fill("Best of Mira")
    page.locator("#strength").fill("0.8")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text(re.compile(r"Best of Mira v\d+"))
    page.get_by_role("link", name="Make pictures").click()
    expect(page.locator("#lora_strength")).to_have_value("0.8")
    page.goto("/loras")
    page.locator("#lora-search").fill("best of")
    expect(page.get_by_test_id("lora-card")).to_have_count(1)
    look(page, "loras")
    page.locator("#lora-search").fill("no such name")
    expect(page.locator("#loras")).to_contain_text("None found")


def test_the_strength_follows_the_version_until_one_is_typed(page: Page, live: str, trained: str) -> None:
    wanted = urllib.request.Request(
        f"{live}/api/loras/{trained}",
        b'{"default_strength": 0.7}',
        {"Content-Type": "application/json"},
        method="PATCH",
    )
    urllib.request.urlopen(wanted, timeout=60).close()
    page.goto("/generate?lora=")
    page.locator("#lora").select_option("")
    page.locator("#lora_strength").fill("1")
    page.locator("#lora").select_option(trained)
    expect(page.locator("#lora_strength")).to_have_value("0.7")
    page.locator("#lora").select_option("")
    expect(page.locator("#trigger-hint")).to_contain_text("Without a character")
    page.locator("#lora_strength").fill("0.63")
    page.locator("#lora").select_option(trained)
    expect(page.locator("#trigger-hint")).to_contain_text("calls Mira")
    expect(page.locator("#lora_strength")).to_have_value("0.63")


def test_a_version_is_deleted_and_brought_back(page: Page, live: str, trained: str, tmp_path: Path) -> None:
    page.goto(f"/loras/{trained}")
    upload(page, download(page, "diffusers", tmp_path), "Ivy")
    page.locator(".page-header").get_by_label("More").click()
    page.locator("#delete-lora").click()
    expect(page.get_by_test_id("toast")).to_contain_text("Ivy v1 was deleted")
    expect(page.locator("#hub-rows")).to_contain_text("No LoRA yet")
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_role("heading", name="Ivy v1")).to_be_visible()
    expect(page.get_by_test_id("toast")).to_contain_text("Ivy v1 is back")


def test_on_a_phone_a_version_s_words_stand_above_its_buttons(page: Page, live: str, trained: str) -> None:
    owner = next(lora for lora in ask(live, "/api/loras")["loras"] if lora["id"] == trained)["character_id"]
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/characters/{owner}?tab=loras")
    words, buttons = (page.locator(f".run-row > {part}").first.bounding_box() for part in (".run-main", ".btn-row"))
    assert words and buttons and words["width"] > 200 and buttons["y"] >= words["y"] + words["height"]
