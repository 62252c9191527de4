"""What every page is held to: it fits each width, and everybody can use it."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

SIZES = {390: 844, 768: 1024, 1440: 900, 1920: 1080}


def fits(page: Page, width: int) -> None:
    """Nothing sticks out at that width. Charts follow the window a frame later, so it is asked until it is so."""
    page.set_viewport_size({"width": width, "height": SIZES[width]})
    expect(page.locator("html")).to_have_js_property("scrollWidth", width)


def violations(page: Page) -> list[str]:
    """What axe finds. Colours that are on their way from one to another would count as too pale."""
    page.emulate_media(reduced_motion="reduce")
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]]
