"""Draws the pictures of docs/images from a running studio: `python -m tests.browser.screenshots http://127.0.0.1:8000`.

The studio should have trained its sample character and made pictures of her. Not a test."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import ask

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"
SIZE = {"width": 1440, "height": 900}
LIMIT = 250_000


def addresses(studio: str) -> dict[str, str]:
    run = next(run for run in ask(studio, "/api/training") if run["status"] == "completed")
    character = run["character_id"]
    return {
        "characters": "/characters",
        "photos": f"/characters/{character}",
        "training": f"/training/{run['id']}",
        "generate": f"/generate?character={character}",
    }


def shoot(page: Page, url: str, target: Path) -> None:
    page.goto(url, wait_until="networkidle")
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        picture = shot.convert("RGB")
    colours = 256
    picture.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)
    while target.stat().st_size > LIMIT and colours > 32:
        colours //= 2
        picture.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
    print(target.name, target.stat().st_size, "bytes,", colours, "colours")


def main(studio: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        for name, address in addresses(studio).items():
            shoot(page, studio + address, IMAGES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:8000")
