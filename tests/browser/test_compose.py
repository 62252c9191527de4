"""Composing pictures as a person does: choices, qualities, every tool, a recipe from a picture, a grid."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from isengard.engine.pocket.faces import sample_photos
from tests.browser.conftest import ask, completed, stroke
from tests.library.conftest import diffusers

pytestmark = pytest.mark.browser
# Real drawing on a processor that others use, too.
PATIENCE = 120_000


@pytest.fixture(scope="module")
def drawn(live: str) -> str:
    """A finished request for one picture; its id."""
    body = {"config": {"prompt": "a woman, red hair", "seed": 1}}
    return completed(live, ask(live, "/api/generation", body)["id"])


def newest(page: Page) -> Locator:
    return page.get_by_test_id("generation-card").first


def ask_for(page: Page, prompt: str) -> None:
    """Of nobody: when other tests have trained somebody, the form begins with them and their word."""
    page.goto("/generate")
    page.locator("#lora").select_option("")
    page.get_by_test_id("prompt-input").fill(prompt)


def in_few_steps(page: Page) -> None:
    """What is watched here is the way, not the picture."""
    page.locator("summary", has_text="More settings").click()
    page.locator("#steps").fill("4")


def test_choices_and_quality_make_pictures(page: Page) -> None:
    ask_for(page, "a {woman|man}, smiling")
    page.locator("label:has(input[name=quality][value=draft])").click()
    expect(page.locator("#frame-size")).to_contain_text("64 × 64 px · 12 steps")
    page.locator("label:has(input[name=count][value='2'])").click()
    page.get_by_test_id("generate-btn").click()
    expect(newest(page).locator(".prompt-line")).to_have_text("a {woman|man}, smiling")
    expect(newest(page).locator("[data-viewer-item]")).to_have_count(2, timeout=PATIENCE)
    assert newest(page).locator("img").first.get_attribute("alt") in {"a woman, smiling", "a man, smiling"}


@pytest.mark.parametrize("tool", ["image_to_image", "outpaint", "upscale", "face_refine"])
def test_a_tool_goes_on_with_a_picture(page: Page, drawn: str, tool: str) -> None:
    page.goto(f"/generate?tool={tool}&from={drawn}&picture=0")
    in_few_steps(page)
    page.get_by_test_id("generate-btn").click()
    expect(newest(page)).to_contain_text(page.locator("[aria-current=true]").first.inner_text())
    expect(newest(page).locator("[data-viewer-item]").first).to_be_visible(timeout=PATIENCE)


def test_hires_fix_draws_larger(page: Page) -> None:
    ask_for(page, "a man, grey hair")
    page.get_by_test_id("tool-hires").click()
    expect(page.locator("#hires_scale")).to_be_visible()
    expect(page.get_by_test_id("prompt-input")).to_have_value("a man, grey hair")
    in_few_steps(page)
    page.get_by_test_id("generate-btn").click()
    expect(newest(page).locator(".prompt-line")).to_have_text("a man, grey hair")
    expect(newest(page).locator("[data-viewer-item] img")).to_have_attribute("width", "192", timeout=PATIENCE)


BRIGHT_WHERE_PAINTED = """() => {
  const canvas = document.querySelector(".brush-stage canvas"), scale = canvas.width / canvas.clientWidth;
  return canvas.getContext("2d").getImageData(60 * scale, 45 * scale, 1, 1).data[0] > 128;
}"""


def test_a_painted_part_is_drawn_anew(page: Page, drawn: str) -> None:
    page.goto(f"/generate?tool=inpaint&from={drawn}&picture=0")
    stroke(page, page.locator(".brush-stage canvas"))
    page.locator("summary", has_text="Mark a box by numbers").click()
    page.get_by_test_id("box-add").click()
    expect(page.locator("[data-brush-base]")).to_have_count(1)
    page.wait_for_function(BRIGHT_WHERE_PAINTED)
    page.get_by_test_id("generate-btn").click()
    expect(newest(page)).to_contain_text("Inpaint")
    expect(newest(page).locator("[data-viewer-item]")).to_be_visible(timeout=PATIENCE)


@pytest.fixture
def two_people(page: Page, live: str, tmp_path: Path) -> list[str]:
    """Files of two strangers, uploaded as a program does it; their ids."""
    found = []
    for seed, name in enumerate(("Ada", "Bo")):
        path = diffusers(tmp_path / f"{name}.safetensors", seed=seed)
        sent = {"file": {"name": path.name, "mimeType": "application/octet-stream", "buffer": path.read_bytes()}}
        answer = page.request.post(f"{live}/api/loras/upload", multipart={**sent, "name": name, "trigger_word": name})
        assert answer.ok, answer.text()
        found.append(str(answer.json()["id"]))
    return found


def test_two_characters_meet_in_one_picture(page: Page, two_people: list[str], tmp_path: Path) -> None:
    both = Image.new("RGB", (192, 96))
    for place, (_, photo, _) in enumerate(sample_photos(96, 2)):
        both.paste(photo, (96 * place, 0))
    both.save(tmp_path / "both.png")
    page.goto(f"/generate?tool=pair&lora={two_people[0]}")
    page.get_by_test_id("input-source").set_input_files(tmp_path / "both.png")
    expect(page.locator(".given img")).to_be_visible()
    page.get_by_label("Who, right face").select_option(two_people[1])
    page.get_by_test_id("prompt-input").fill("a photo of two women, smiling")
    in_few_steps(page)
    page.get_by_test_id("generate-btn").click()
    expect(newest(page)).to_contain_text("Two characters")
    expect(newest(page).locator("[data-viewer-item] img")).to_have_attribute("width", "192", timeout=PATIENCE)


def test_a_wide_picture_stands_beside_its_recipe(page: Page, drawn: str) -> None:
    page.goto(f"/generate/{drawn}")
    page.locator("[data-viewer-item] img").evaluate("image => image.setAttribute('width', 2 * image.height)")
    page.locator("[data-viewer-item]").click()
    expect(page.locator(".viewer-panel")).to_contain_text("Recipe")
    right = (
        "Math.max(...[...document.querySelectorAll('.viewer-stage img')].map(one => one.getBoundingClientRect().right))"
    )
    page.wait_for_function(f"{right} <= document.querySelector('.viewer-panel').getBoundingClientRect().left")


def test_a_file_becomes_the_source_and_no_word_is_lost(page: Page, drawn: str, live: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    path.write_bytes(page.request.get(f"{live}/api/generation/{drawn}/outputs/0").body())
    page.goto("/generate?tool=image_to_image")
    page.get_by_test_id("prompt-input").fill("a woman, blue hair")
    page.get_by_test_id("input-source").set_input_files(path)
    expect(page.locator(".given img")).to_be_visible()
    expect(page.get_by_test_id("prompt-input")).to_have_value("a woman, blue hair")


def test_a_dropped_picture_fills_the_form(page: Page, drawn: str, live: str, tmp_path: Path) -> None:
    path = tmp_path / "ours.png"
    path.write_bytes(page.request.get(f"{live}/api/generation/{drawn}/outputs/0").body())
    page.goto("/generate")
    page.get_by_test_id("recall-input").set_input_files(path)
    expect(page.get_by_test_id("prompt-input")).to_have_value("a woman, red hair")
    expect(page.locator("#seed")).to_have_value("1")
    expect(page.locator("#generate-form")).to_contain_text("made by Isengard")


def test_a_grid_is_drawn_and_taken_along(page: Page) -> None:
    ask_for(page, "a woman, red hair")
    page.get_by_text("Compare in a grid").click()
    page.locator("#grid_steps").fill("2, 4")
    page.locator("#grid_seed").fill("1, 2")
    page.get_by_test_id("grid-btn").click()
    expect(page.locator(".samples [data-viewer-item]")).to_have_count(4, timeout=PATIENCE)
    expect(page.locator(".samples thead th")).to_have_text(["2", "4"])
    page.get_by_role("link", name="Swap columns and rows").click()
    expect(page.locator(".samples thead th")).to_have_text(["1", "2"])
    with page.expect_download() as coming:
        page.get_by_test_id("grid-download").click()
    html = Path(coming.value.path()).read_text()
    assert html.count("data:image/webp") == 4


def test_a_style_of_ones_own_is_kept_and_forgotten(page: Page) -> None:
    page.goto("/generate")
    page.get_by_text("Styles", exact=True).click()
    page.get_by_text("Styles of your own").click()
    page.get_by_label("Name of the style").fill("Foggy")
    page.get_by_label("Words of the style").fill("{prompt}, fog")
    page.get_by_role("button", name="Keep the style").click()
    expect(page.locator("input[name=styles][value=Foggy]")).to_have_count(1)
    page.locator("button[name=name][value=Foggy]").click()
    expect(page.locator("input[name=styles][value=Foggy]")).to_have_count(0)
