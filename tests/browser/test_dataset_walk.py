"""A dataset's whole way in a real browser: mixed photos in, judged, mended, captioned, exported and imported again."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image, ImageFilter, ImageOps
from playwright.sync_api import FilePayload, Locator, Page, expect

from isengard.engine.pocket.faces import sample_photos

pytestmark = pytest.mark.browser
# Two cores shared with others take minutes for what a quiet machine does in seconds.
LONG = 120_000
CHARACTER = re.compile(r"/characters/char-[0-9a-f]{8}")
CAPTION = "ohwx waving,\nin a café 🙂 <b>outside</b>"


def mixed_photos() -> list[FilePayload]:
    """Six drawn portraits (one lying, as phones store them) and six photos of a person, five of them with a fault."""
    drawn = [picture for _, picture, _ in sample_photos(count=6)]
    person = Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")
    mirrored = ImageOps.mirror(person)
    pair = Image.new("RGB", (1024, 512))
    pair.paste(person, (0, 0))
    pair.paste(mirrored.crop((0, 0, 512, 512)), (512, 0))
    phone = Image.Exif()
    phone[0x0112] = 6
    files = {f"drawn-{number}.png": saved(picture, "PNG") for number, picture in enumerate(drawn[:5])}
    files["phone.jpg"] = saved(drawn[5].transpose(Image.Transpose.ROTATE_90), "JPEG", exif=phone)
    files["portrait.jpg"] = saved(person, "JPEG", quality=95)
    files["sideways.jpg"] = saved(mirrored.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95)
    files["blurred.jpg"] = saved(person.crop((60, 0, 460, 400)).filter(ImageFilter.GaussianBlur(6)), "JPEG", quality=95)
    files["copy.jpg"] = saved(person.resize((400, 400)), "JPEG", quality=70)
    files["two.jpg"] = saved(pair, "JPEG", quality=95)
    files["tiny.png"] = saved(person.resize((20, 20)), "PNG")
    return [{"name": name, "mimeType": "image/*", "buffer": data} for name, data in files.items()]


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def tiles(page: Page) -> Locator:
    return page.get_by_test_id("image-grid").locator(".tile")


def drop_photos(page: Page) -> str:
    """A new character with twelve photos; the address of its page."""
    page.goto("/characters/new")
    page.locator("input[name=name]").fill("Walk")
    page.locator("input[name=trigger_word]").fill("ohwx")
    page.locator("input[type=file]").set_input_files(mixed_photos())
    page.get_by_test_id("create-character-btn").click()
    page.wait_for_url(CHARACTER, timeout=LONG)
    expect(tiles(page)).to_have_count(12, timeout=LONG)
    return page.url.partition("?")[0]


def tile(page: Page, name: str) -> Locator:
    return tiles(page).filter(has=page.get_by_label(f"Select {name}"))


def await_doctor(page: Page) -> None:
    """Until every photo was looked at, without a reload."""
    expect(page.locator("#doctor-title")).to_be_visible(timeout=LONG)
    expect(page.locator("#doctor .badge").filter(has_text=re.compile("Checking|Waiting"))).to_have_count(
        0, timeout=LONG
    )
    expect(tiles(page).locator(".verdict-unchecked")).to_have_count(0, timeout=LONG)


def fix(page: Page, hub: str, name: str, sentence: str, button: str) -> None:
    """Opens a photo of the character, reads what the doctor says of it and takes the way out that is offered."""
    page.goto(hub)
    tile(page, name).locator("a").first.click()
    panel = page.locator("#verdict")
    expect(panel).to_contain_text(sentence, timeout=LONG)
    offer = panel.get_by_role("button", name=button, exact=True)
    offer.first.click()
    expect(offer).to_have_count(0, timeout=LONG)


def describe(page: Page, hub: str, name: str) -> None:
    """A caption that saves itself, a tag, and a mask of the face."""
    page.goto(hub)
    tile(page, name).locator("a").first.click()
    page.get_by_test_id("caption-input").fill(CAPTION)
    expect(page.get_by_test_id("caption-box")).to_contain_text("Saved", timeout=LONG)
    page.locator("#photo-tags-add").fill("space suit, ÖPNV")
    page.locator("#tags").get_by_role("button", name="Add").click()
    expect(page.locator("#tags .chip")).to_have_text([re.compile("space suit"), re.compile("öpnv")])
    page.get_by_role("button", name="Face only").click()
    expect(page.locator("#mask").get_by_role("button", name="Remove mask")).to_be_visible(timeout=LONG)


def keep_for_reference(page: Page, hub: str, name: str) -> None:
    page.goto(hub)
    tile(page, name).locator("a").first.click()
    page.locator("#tags").get_by_text("Reference only").click()
    expect(page.locator("#tags")).to_contain_text("training does not see it")


def download(page: Page, hub: str) -> dict[str, bytes]:
    """The character's export, taken by its menu: entries by name."""
    page.goto(hub)
    page.locator(".page-actions details.menu > summary").click()
    page.get_by_role("link", name="Export").click()
    with page.expect_download(timeout=LONG) as waiting:
        page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def upload_archive(page: Page, archive: dict[str, bytes]) -> str:
    """A new character from it, watched to its end; the address of its page."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, data in archive.items():
            target.writestr(name, data)
    page.goto("/characters")
    page.get_by_role("link", name="From a ZIP").click()
    page.locator("input[name=archive]").set_input_files(
        {"name": "walk.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()}
    )
    page.locator("input[name=name]").fill("Walk again")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_test_id("import-result")).to_contain_text("Completed", timeout=LONG)
    expect(page.get_by_test_id("import-result").get_by_role("status")).to_have_text(
        re.compile(r"(\d+) of \1 photos added")
    )
    page.get_by_role("link", name="Show photos").click()
    page.wait_for_url(CHARACTER)
    return page.url.partition("?")[0]


def test_mixed_photos_are_judged_mended_captioned_exported_and_imported_the_same(page: Page) -> None:
    hub = drop_photos(page)
    await_doctor(page)
    fix(page, hub, "sideways.jpg", "lie on the side", "Turn right")
    fix(page, hub, "blurred.jpg", "nothing in it is sharp", "Keep anyway")
    fix(page, hub, "two.jpg", "2 people", "Crop to the face")
    fix(page, hub, "tiny.png", "enlarged, it would teach blur", "Remove")
    page.goto(hub)
    page.get_by_role("button", name="Keep the best, remove 1").click()
    expect(tiles(page)).to_have_count(10, timeout=LONG)
    describe(page, hub, "portrait.jpg")
    keep_for_reference(page, hub, "drawn-0.png")
    page.goto(hub)
    await_doctor(page)
    expect(tiles(page).locator(".verdict-ready")).to_have_count(10)
    first = download(page, hub)
    assert_told(first)
    second = download(page, upload_archive(page, first))
    assert set(first) == set(second)
    assert [name for name in first if not same(name, first[name], second[name])] == ["isengard.json"]


def same(name: str, one: bytes, other: bytes) -> bool:
    """Photos and what is said of them to the byte; masks, which are packed anew, to the pixel."""
    if not name.startswith("masks/"):
        return one == other
    pictures = [Image.open(io.BytesIO(data)) for data in (one, other)]
    return pictures[0].tobytes() == pictures[1].tobytes() and pictures[0].getextrema() == (0, 255)


def assert_told(archive: dict[str, bytes]) -> None:
    """What was done to the photos stands in the export, so that two equal exports mean something."""
    told = {line["name"]: line for line in map(json.loads, archive["metadata.jsonl"].splitlines())}
    portrait = told["portrait.jpg"]
    assert (portrait["text"], portrait["tags"]) == (CAPTION, ["space suit", "öpnv"])
    assert (portrait["mask"] in archive, portrait["mask_by"]) == (True, "auto")
    assert told["blurred.jpg"]["ignored"] == ["blurred"]
    assert told["drawn-0.png"]["split"] == "reference"
    assert told["two.jpg"]["crops"][0]["kind"] == "main"
    assert not {"tiny.png", "copy.jpg"} & set(told)
