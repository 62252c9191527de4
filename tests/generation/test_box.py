"""A mask without a mouse: boxes by numbers, which add up, beside the brush."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image

from generation import inputs
from isengard import storage
from isengard.errors import Invalid

ATTACH = reverse("generation:attach")


@pytest.fixture
def source(volume: Path) -> str:
    path = storage.absolute(f"{inputs.FOLDER}/{'0' * 64}-80x40.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (80, 40), "grey").save(path)
    return path.name


def box(left: float, top: float, width: float, height: float) -> dict[str, str]:
    sides = {"left": left, "top": top, "width": width, "height": height}
    return {"mark": "add", **{f"box_{side}": str(share) for side, share in sides.items()}}


def marked(client: Client, source: str, **sent: str) -> tuple[str, str]:
    """The key of the mask after the button, and the page."""
    words = {"base": "pocket", "tool": "inpaint", "key_source": source, **sent}
    page = client.post(ATTACH, words, headers={"HX-Request": "true"})
    return page.context["form"].given.keys.get("mask", ""), page.content.decode()


def test_a_box_is_white_and_the_rest_black(client: Client, db: None, source: str) -> None:
    key, page = marked(client, source, **box(50, 0, 25, 50))
    with Image.open(inputs.path_of(key)) as mask:
        assert (mask.mode, mask.size, mask.getbbox()) == ("L", (80, 40), (40, 0, 60, 20))
    assert f'value="{key}"' in page and "data-brush-base" in page and 'id="box-left"' in page


def test_boxes_add_up_until_nothing_is_marked(client: Client, db: None, source: str) -> None:
    first, _ = marked(client, source, **box(0, 0, 25, 25))
    both, _ = marked(client, source, key_mask=first, **box(75, 75, 25, 25))
    with Image.open(inputs.path_of(both)) as mask:
        assert (mask.getbbox(), mask.getpixel((40, 20))) == ((0, 0, 80, 40), 0)
    assert marked(client, source, key_mask=both, mark="none")[0] == ""


@pytest.mark.parametrize("wrong", [(0, 0, 0, 50), (100, 0, 50, 50), (0, -1, 50, 50), (0, 0, float("nan"), 50)])
def test_a_box_that_holds_nothing_is_refused_and_the_mask_stays(
    client: Client, db: None, source: str, wrong: tuple[float, float, float, float]
) -> None:
    before, _ = marked(client, source, **box(0, 0, 25, 25))
    key, page = marked(client, source, key_mask=before, **box(*wrong))
    assert key == before and ("The box is empty" in page or "percent of the picture, from 0 to 100" in page)


def test_a_box_beyond_the_edge_ends_there(source: str) -> None:
    with Image.open(inputs.path_of(inputs.boxed(source, (50, 50, 100, 100)))) as mask:
        assert mask.getbbox() == (40, 20, 80, 40)
    with pytest.raises(Invalid):
        inputs.boxed(source, (0, 0, 0.1, 50))
