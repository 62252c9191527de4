"""The page of one photo: its neighbours within the filter, its panels, its tags, its deletion; and the list of tags."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from characters.browse import services
from characters.models import Character, ReferenceImage, Tag
from isengard import storage
from tests.pages.rows import HTMX, text
from tests.people import make_character


def photos(character: Character) -> list[ReferenceImage]:
    """Newest first, as the grid shows them."""
    return list(character.images.newest_first())


def page_of(image: ReferenceImage, query: str = "") -> str:
    return f"{reverse('photos:page', args=[image.public_id])}{query}"


def test_a_photo_leads_to_its_neighbours_within_the_filter(client: Client, mira: Character) -> None:
    first, second, third = photos(mira)
    make_character("Ann", "ohwxann", photos=1)
    query = f"?character={mira.public_id}"
    context = client.get(page_of(second, query)).context
    assert context["previous_url"] == page_of(first, query) and context["following_url"] == page_of(third, query)


def test_the_first_photo_has_none_before_it(client: Client, mira: Character) -> None:
    assert client.get(page_of(photos(mira)[0])).context["previous_url"] == ""


def test_the_way_back_leads_to_the_photos_place_in_the_grid(client: Client, mira: Character) -> None:
    _, second, third = photos(mira)
    page = text(client.get(client.get(page_of(second)).context["back_url"]))
    assert second.public_id in page and third.public_id in page and "load-earlier" in page


def test_the_next_photo_comes_without_a_reload(client: Client, mira: Character) -> None:
    answer = client.get(page_of(photos(mira)[1]), headers=HTMX)
    assert "<html" not in text(answer) and 'id="page-title" hx-swap-oob="true"' in text(answer)
    assert answer.headers["HX-Replace-Url"] == page_of(photos(mira)[1])


def test_a_photo_whose_file_is_gone_says_what_to_do(client: Client, mira: Character) -> None:
    image = photos(mira)[0]
    storage.remove(image.file)
    page = text(client.get(page_of(image)))
    assert "The file of this photo is gone" in page and "Upload it again" in page


def test_deleting_a_photo_shows_the_next_and_offers_undo(client: Client, mira: Character) -> None:
    first, second, _ = photos(mira)
    answer = client.post(reverse("photos:delete", args=[first.public_id]), headers=HTMX)
    assert second.original_name in text(answer) and mira.images.count() == 2
    client.post(json.loads(answer.headers["HX-Trigger"])["toast"]["undo"], headers=HTMX)
    assert mira.images.count() == 3


def test_deleting_the_last_photo_leads_to_the_grid(client: Client, db: None, volume: object) -> None:
    only = photos(make_character(photos=1))[0]
    answer = client.post(reverse("photos:delete", args=[only.public_id]), headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/dataset"


def tags_panel(image: ReferenceImage) -> str:
    return reverse("photos:tags", args=[image.public_id])


def test_tags_typed_on_a_photo_are_written_at_once(client: Client, mira: Character) -> None:
    image = photos(mira)[0]
    page = text(client.post(tags_panel(image), {"add": "Beach, red hat"}, headers=HTMX))
    assert "Take off beach" in page and "Take off red hat" in page


def test_a_tag_is_taken_off_a_photo(client: Client, mira: Character) -> None:
    image = photos(mira)[0]
    services.set_tags(image, ["beach", "hat"])
    page = text(client.post(tags_panel(image), {"remove": "beach"}, headers=HTMX))
    assert "Take off hat" in page and "Take off beach" not in page


def test_a_photo_is_kept_for_reference(client: Client, mira: Character) -> None:
    image = photos(mira)[0]
    page = text(client.post(tags_panel(image), {"split": "reference"}, headers=HTMX))
    image.refresh_from_db()
    assert image.split == "reference" and "training does not see it" in page


def test_a_tag_that_is_too_long_is_refused_with_a_sentence(client: Client, mira: Character) -> None:
    answer = client.post(tags_panel(photos(mira)[0]), {"add": "x" * 300}, headers=HTMX)
    assert answer.status_code == 400 and "1 to 50 characters" in text(answer)


def tagged(mira: Character) -> None:
    services.set_tags(photos(mira)[0], ["beach", "the beach"])
    services.set_tags(photos(mira)[1], ["the beach"])


def test_the_tags_are_listed_with_their_frequency(client: Client, mira: Character) -> None:
    tagged(mira)
    page = text(client.get(reverse("characters:tags")))
    assert page.index("the beach") < page.index(">beach<") and "2 photos" in page and "1 photo<" in page


def test_a_tag_renamed_to_another_becomes_one_with_it(client: Client, mira: Character) -> None:
    tagged(mira)
    client.post(reverse("characters:tag-change"), {"rename": "the beach", "name": "Beach"}, headers=HTMX)
    assert [tag.name for tag in Tag.objects.all()] == ["beach"]
    assert photos(mira)[0].tag_text == photos(mira)[1].tag_text == "beach"


def test_ticked_tags_become_one(client: Client, mira: Character) -> None:
    tagged(mira)
    data = {"tag": ["beach", "the beach"], "into": "sea"}
    page = text(client.post(reverse("characters:tag-change"), data, headers=HTMX))
    assert [tag.name for tag in Tag.objects.all()] == ["sea"] and "2 photos" in page


def test_a_tag_is_taken_off_every_photo(client: Client, mira: Character) -> None:
    tagged(mira)
    client.post(reverse("characters:tag-change"), {"delete": "the beach"}, headers=HTMX)
    assert [image.tag_text for image in photos(mira)] == ["beach", "", ""][: len(photos(mira))]


@pytest.mark.parametrize("made_by", ["gen-000000000000", "elsewhere"])
def test_a_photo_made_by_something_unknown_names_it_without_a_link(
    client: Client, mira: Character, made_by: str
) -> None:
    photo = mira.images.first()
    assert photo is not None
    mira.images.filter(pk=photo.pk).update(split="synthetic", made_by=made_by)
    page = text(client.get(reverse("photos:page", args=[photo.public_id])))
    assert f"made by {made_by}" in page and f"/generate/{made_by}" not in page
