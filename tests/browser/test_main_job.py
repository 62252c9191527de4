"""The main job in a real browser against the real engine: photos in, a LoRA that one watches learn, pictures out."""

import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from isengard.engine import recipe
from isengard.engine.pocket.faces import sample_photos
from tests.browser.conftest import TRAINING_SECONDS, follow, start_training, visiting

pytestmark = pytest.mark.browser
LONG = TRAINING_SECONDS * 1000


def job_status(page: Page) -> Locator:
    return page.locator("[data-testid=job-status]").first


def open_sample_character(page: Page) -> str:
    page.goto("/characters")
    page.locator("[data-testid=character-card]", has_text="Mira").click()
    # The sample's own twelve; other tests may have kept a picture among them.
    expect(page.get_by_test_id("image-grid").locator(".tile").nth(11)).to_be_visible()
    return page.url


def choose_quick_settings(page: Page) -> None:
    page.locator("label", has_text="Quick").click()
    expect(page.locator("#steps")).to_have_value("100")
    page.locator("#steps").fill("100")
    expect(page.locator("input[name=preset]:checked")).to_have_value("custom")
    page.get_by_text("Sampling & Checkpoints").click()
    page.locator("#sample_every_n_steps").fill("50")
    page.locator("#sample_count").fill("2")
    expect(page.locator("#plan")).to_contain_text("for 100 steps")


def watch_it_learn(page: Page) -> None:
    expect(page.locator(".samples th", has_text="Before")).to_be_visible(timeout=LONG)
    expect(page.locator("[data-job-text=steps]")).to_have_text(re.compile(r"^\d+ of 100$"), timeout=LONG)
    expect(page.locator(".chart canvas")).to_be_visible(timeout=LONG)
    expect(job_status(page)).to_have_text("Completed", timeout=LONG)


def test_train_the_sample_character_and_watch_it_learn(page: Page) -> None:
    hub = open_sample_character(page)
    page.goto(f"/training/start?character={hub.rsplit('/', 1)[-1]}")
    choose_quick_settings(page)
    follow(page, page.get_by_test_id("start-training-btn"))
    page.evaluate("window.notReloaded = true")
    other = page.context.new_page()
    other.goto(hub)
    expect(other.locator("#next-step")).to_have_text("Watch it learn")
    watch_it_learn(page)
    expect(page.locator("h1")).to_have_text(re.compile(r"^\s*Training v\d+ of Mira\s*$"))
    expect(page.locator(".samples thead th")).to_have_text(["Before", "50", "100"])
    expect(page.get_by_test_id("training-logs")).to_contain_text("Drew sample 2 at step 50")
    expect(other.locator("#next-step")).to_have_text("Make pictures")
    assert page.evaluate("window.notReloaded")


def draw(page: Page, lora: str, prompt: str, count: int, steps: int) -> Locator:
    """Asks for pictures and gives their card."""
    page.goto(f"/generate?lora={lora}")
    page.locator("#prompt").fill(prompt)
    page.locator("label", has=page.locator(f"input[name=count][value='{count}']")).click()
    page.get_by_text("More settings").click()
    page.locator("#steps").fill(str(steps))
    page.get_by_test_id("generate-btn").click()
    return page.locator("article", has_text=prompt).first


def test_pictures_come_with_previews_and_a_recipe(page: Page, trained: str, tmp_path: Path) -> None:
    card = draw(page, trained, "a smiling portrait of ohwx", count=4, steps=40)
    expect(card.locator(".is-drawing img").first).to_be_visible(timeout=LONG)
    expect(card.locator("[data-viewer-item]")).to_have_count(4, timeout=LONG)
    card.locator("[data-viewer-item]").nth(1).click()
    expect(page.locator("#viewer [data-viewer-count]")).to_have_text("2 / 4")
    seed = page.locator("#viewer dd code").inner_text()
    with page.expect_download() as download:
        page.keyboard.press("d")
    download.value.save_as(tmp_path / "picture.png")
    written = recipe.read_png(tmp_path / "picture.png")
    assert written is not None and str(written["seed"]) == seed
    page.locator("#viewer").get_by_text("Use this seed again").click()
    expect(page.locator("#seed")).to_have_value(seed)
    expect(page.locator("#prompt")).to_have_value("a smiling portrait of ohwx")


def test_drawing_can_be_stopped(page: Page, trained: str) -> None:
    card = draw(page, trained, "many pictures of ohwx", count=4, steps=50)
    card.get_by_test_id("cancel-job-btn").click()
    expect(card.locator(".badge-cancelled")).to_be_visible(timeout=LONG)
    expect(card.get_by_text("Try again")).to_be_visible()


def test_a_prompt_survives_a_reload(page: Page, trained: str) -> None:
    page.goto("/generate")
    page.locator("#prompt").fill("half a sentence about")
    page.locator("#lora").select_option("")
    expect(page.locator("#trigger-hint")).to_contain_text("Without a character")
    page.reload()
    expect(page.locator("#prompt")).to_have_value("half a sentence about")
    expect(page.locator("#trigger-hint")).to_contain_text("Without a character")


def test_a_running_training_stops_and_frees_the_worker(page: Page, live: str) -> None:
    page.goto(f"/training/{start_training(live, 2000)}")
    expect(page.locator("[data-job-text=steps]")).to_have_text(re.compile(r"^[1-9]\d* of 2000$"), timeout=LONG)
    page.get_by_test_id("cancel-job-btn").click()
    expect(job_status(page)).to_have_text("Cancelled", timeout=LONG)
    expect(page.get_by_role("button", name="Go on after step")).to_be_visible()
    expect(page.get_by_role("button", name="Begin anew")).to_be_visible()
    expect(page.locator("#status .badge-ready")).to_be_visible(timeout=LONG)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four photos and a file that only claims to be one."""
    folder = tmp_path_factory.mktemp("photos")
    for name, picture, _ in sample_photos(256, 4):
        picture.save(folder / f"{Path(name).stem}.jpg")
    (folder / "broken.jpg").write_bytes(next(folder.glob("*.jpg")).read_bytes()[:900])
    return sorted(folder.iterdir())


def new_character(page: Page, name: str, photos: list[Path]) -> None:
    page.goto("/characters/new")
    page.get_by_test_id("character-name-input").fill(name)
    page.get_by_test_id("character-trigger-input").fill(f"ohwx{name.lower()}")
    page.locator("input[type=file]").set_input_files(photos)
    page.get_by_test_id("create-character-btn").click()
    page.wait_for_url(re.compile("/characters/char-"))


def test_own_photos_go_in_one_by_one_and_a_broken_one_says_why(page: Page, photos: list[Path]) -> None:
    new_character(page, "Joon", photos)
    failed = page.locator(".upload-row[data-state=failed]")
    expect(failed).to_have_count(1)
    expect(failed).to_contain_text("broken.jpg")
    expect(failed.locator(".upload-note")).to_have_text(re.compile(r"\w+ .*\.$"))
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_test_id("image-grid").locator(".tile")).to_have_count(4)
    page.locator("#next-step").click()
    expect(page.get_by_test_id("character-select").locator("option:checked")).to_have_text("Joon (ohwxjoon)")
    expect(page.get_by_test_id("start-training-btn")).to_be_enabled()


DROP = """([name, bytes]) => {
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
    for (const kind of ["dragover", "drop"]) document.body.dispatchEvent(
        new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def png(number: int) -> list[int]:
    buffer = io.BytesIO()
    sample_photos(128, number + 1)[number][1].save(buffer, "PNG")
    return list(buffer.getvalue())


def test_photos_dropped_on_the_page_are_counted_and_deleted_by_keyboard(page: Page) -> None:
    new_character(page, "Dana", [])
    expect(page.locator("#next-step")).to_have_text("Add photos")
    page.evaluate(DROP, ["one.png", png(0)])
    page.evaluate(DROP, ["two.png", png(1)])
    expect(page.locator(".tabs a[aria-current] .count")).to_have_text("2")
    expect(page.locator("#next-step")).to_have_text("Train")
    page.get_by_test_id("image-grid").locator(".tile > a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator("[data-select-count]").first).to_have_text("1 selected")
    page.keyboard.press("Delete")
    expect(page.locator(".tabs a[aria-current] .count")).to_have_text("1")


def test_only_the_typed_name_deletes_a_character(page: Page) -> None:
    new_character(page, "Ivo", [])
    page.get_by_label("More").click()
    page.get_by_test_id("delete-character-btn").click()
    button = page.locator("#delete-character [data-match-target]")
    expect(button).to_be_disabled()
    page.locator("#delete-character-match").fill("Ivo")
    button.click()
    expect(page.get_by_test_id("toast")).to_contain_text("Ivo was deleted")
    expect(page.locator("[data-testid=character-card]", has_text="Ivo")).to_have_count(0)


def test_everything_can_be_sent_without_javascript(chromium: Browser, live: str, photos: list[Path]) -> None:
    with visiting(chromium, live, java_script_enabled=False) as context:
        page = context.new_page()
        new_character(page, "Noor", [])
        page.locator("input[type=file]").set_input_files(photos[:1] + photos[-1:])
        page.get_by_role("button", name="Upload").click()
        page.locator("#next-step").click()
        page.get_by_test_id("start-training-btn").click()
        page.get_by_test_id("cancel-job-btn").click()
        expect(job_status(page)).to_have_text(re.compile("Cancelled|Running"))
        page.goto("/generate")
        page.locator("#prompt").fill("a woman")
        page.get_by_test_id("generate-btn").click()
        # Whoever other tests trained stands in the form, with their word.
        expect(page.locator("article .prompt-line").first).to_contain_text("a woman")
