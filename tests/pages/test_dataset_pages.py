"""The grid of photos: what it shows, how it is narrowed and walked, what bulk actions answer, with and without htmx."""

import json
import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from characters.browse import services
from characters.models import Character, Examination, ReferenceImage
from tests.pages.rows import HTMX, queries, text
from tests.people import add_photo, make_character

DATASET = "/dataset"


def tiles(page: str) -> int:
    return page.count('<li class="tile"')


def ids(character: Character) -> list[str]:
    return list(character.images.order_by("id").values_list("public_id", flat=True))


def post(client: Client, name: str, **data: Any) -> HttpResponse:
    return client.post(reverse(f"characters:{name}"), data, headers=HTMX)  # type: ignore[return-value]


def told(answer: HttpResponse) -> dict[str, Any]:
    """The events of an answer; its toast under `toast`."""
    events: dict[str, Any] = json.loads(answer.headers["HX-Trigger"])
    return events


def test_the_dataset_shows_every_photo(client: Client, mira: Character) -> None:
    make_character("Ann", "ohwxann", photos=2)
    page = text(client.get(DATASET))
    assert tiles(page) == 5 and "All Characters" in page


def test_an_empty_dataset_says_where_photos_come_from(client: Client, db: None) -> None:
    assert "No images yet" in text(client.get(DATASET))


def test_a_filter_that_finds_nothing_says_so(client: Client, mira: Character) -> None:
    page = text(client.get(f"{DATASET}?q=nobody"))
    assert tiles(page) == 0 and "No matching images" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [("q=photo-1", 1), ("q=mira", 3), ("split=reference", 1), ("verdict=blocked", 1), ("tag=outdoors", 2)],
)
def test_the_dataset_is_narrowed(client: Client, mira: Character, query: str, found: int) -> None:
    first = mira.images.order_by("id")[:1]
    ReferenceImage.objects.filter(pk__in=first.values("pk")).update(split="reference", verdict="blocked")
    services.tag_images(ReferenceImage.objects.filter(public_id__in=ids(mira)[1:]), ["outdoors"])
    assert tiles(text(client.get(f"{DATASET}?{query}"))) == found


def test_a_filter_nobody_offers_is_refused_with_a_sentence(client: Client, mira: Character) -> None:
    answer = client.get(f"{DATASET}?split=everything")
    assert answer.status_code == 400 and "is not a split" in text(answer)


def test_a_changed_filter_is_written_to_the_address_bar(client: Client, mira: Character) -> None:
    answer = client.get(f"{reverse('characters:grid')}?q=photo&split=&sort=newest", headers=HTMX)
    assert answer.headers["HX-Replace-Url"] == f"{DATASET}?q=photo"


def test_on_a_characters_own_page_the_address_stays_theirs(client: Client, mira: Character) -> None:
    query = f"tab=photos&character={mira.public_id}&split=train"
    answer = client.get(f"{reverse('characters:grid')}?{query}", headers=HTMX)
    assert answer.headers["HX-Replace-Url"] == f"/characters/{mira.public_id}?split=train&tab=photos"


def test_a_characters_page_shows_only_their_photos(client: Client, mira: Character) -> None:
    make_character("Ann", "ohwxann", photos=1)
    assert tiles(text(client.get(f"{mira.get_absolute_url()}?tab=photos"))) == 3


def many(character: Character) -> None:
    for number in range(10, 75):
        add_photo(character, number)


def test_the_next_block_goes_on_with_the_filter(client: Client, mira: Character) -> None:
    many(mira)
    first = client.get(f"{DATASET}?q=photo")
    assert "q=photo" in first.context["next_url"]
    rest = text(client.get(first.context["next_url"], headers=HTMX))
    assert tiles(rest) == 8 and "load-more" not in rest and "load-earlier" not in rest


def test_the_end_is_one_step_away_and_leads_back(client: Client, mira: Character) -> None:
    many(mira)
    end = client.get(client.get(DATASET).context["last_url"])
    assert "photo-0.png" in text(end) and "load-earlier" in text(end)
    assert tiles(text(client.get(end.context["earlier_url"], headers=HTMX))) == 8


def test_a_block_is_fetched_again_by_its_photos(client: Client, mira: Character) -> None:
    url = client.get(DATASET).context["tiles_url"]
    services.bin_images(mira.images.filter(public_id=ids(mira)[1]))
    page = text(client.get(url, headers=HTMX))
    assert tiles(page) == 2 and page.index("photo-2.png") < page.index("photo-0.png")


def test_a_block_drops_what_the_filter_finds_no_more(client: Client, mira: Character) -> None:
    url = client.get(f"{DATASET}?split=train").context["tiles_url"]
    services.set_split(mira.images.filter(public_id=ids(mira)[0]), "reference")
    assert tiles(text(client.get(url, headers=HTMX))) == 2


def test_a_tile_says_what_the_doctor_has_against_the_photo(client: Client, mira: Character) -> None:
    image = mira.images.order_by("id").first()
    assert image is not None
    wrong = [{"code": code, "level": "attention", "text": f"{code}!", "fix": ""} for code in ("blurred", "dark")]
    Examination.objects.create(image=image, version=1, findings=wrong, ignored=["dark"])
    mira.images.update(verdict="attention")
    page = text(client.get(DATASET))
    assert 'title="Needs attention: blurred!"' in page and "dark!" not in page


def test_a_tile_is_cut_around_the_largest_face(client: Client, mira: Character) -> None:
    small, large = ({"x": x, "y": 0.1, "width": size, "height": size} for x, size in ((0.7, 0.1), (0.2, 0.4)))
    Examination.objects.create(image=mira.images.first(), version=1, faces=[small, large])
    assert 'data-focus="40% 30%"' in text(client.get(DATASET))


def test_a_missing_file_is_said_on_its_tile(client: Client, mira: Character) -> None:
    mira.images.filter(public_id=ids(mira)[0]).update(missing_at="2026-01-01T00:00:00Z")
    assert text(client.get(DATASET)).count("File missing") == 2  # the tile's and the filter's own words


def test_counts_come_beside_the_grid(client: Client, mira: Character) -> None:
    make_character("Ann", "ohwxann", photos=1)
    mira.images.filter(public_id=ids(mira)[0]).update(split="reference")
    page = text(client.get(f"{reverse('characters:counts')}?split=train", headers=HTMX))
    assert "3 photos of 4" in page and "Select all 3 that match" in page and "Mira (3)" in page
    assert re.search(r'id="count-reference"[^>]*>1<', page)


def test_deleting_chosen_photos_offers_to_take_it_back(client: Client, mira: Character) -> None:
    gone = told(post(client, "delete-images", image_ids=",".join(ids(mira)[:2])))
    assert mira.images.count() == 1 and gone["toast"]["message"] == "2 photos deleted."
    back = told(client.post(gone["toast"]["undo"], headers=HTMX))  # type: ignore[arg-type]
    assert mira.images.count() == 3 and back["toast"]["message"] == "2 photos back." and "photos:changed" in back


def test_everything_that_matches_is_deleted_but_the_exceptions(client: Client, mira: Character) -> None:
    other = make_character("Ann", "ohwxann", photos=2)
    events = told(
        post(client, "delete-images", all="1", character=mira.public_id, tab="photos", except_ids=ids(mira)[0])
    )
    assert (mira.images.count(), other.images.count()) == (1, 2) and "photos:added" in events


def test_nothing_chosen_is_said(client: Client, mira: Character) -> None:
    answer = post(client, "delete-images", image_ids="")
    assert answer.status_code == 400 and "Choose at least one photo" in answer.content.decode()


def test_without_htmx_ticked_photos_are_deleted_and_the_dataset_says_so(client: Client, mira: Character) -> None:
    page = client.post(reverse("characters:delete-images"), {"image_ids": ids(mira)[:2]}, follow=True)
    assert mira.images.count() == 1 and "2 photos deleted." in text(page)


def test_chosen_photos_are_used_for_something_else(client: Client, mira: Character) -> None:
    said = told(post(client, "split-images", image_ids=ids(mira)[0], to_split="reference"))["toast"]["message"]
    assert mira.images.filter(split="reference").count() == 1 and said == "Reference only: 1 photo changed."


def test_everything_that_matches_a_split_is_used_for_another(client: Client, mira: Character) -> None:
    services.set_split(mira.images.filter(public_id=ids(mira)[0]), "reference")
    post(client, "split-images", all="1", split="train", to_split="synthetic")
    assert sorted(mira.images.values_list("split", flat=True)) == ["reference", "synthetic", "synthetic"]


def test_chosen_photos_are_tagged_and_untagged(client: Client, mira: Character) -> None:
    chosen = ",".join(ids(mira))
    post(client, "tag-images", image_ids=chosen, tags="Winter, red  coat", action="add")
    assert set(mira.images.values_list("tag_text", flat=True)) == {"red coat, winter"}
    post(client, "tag-images", image_ids=chosen, tags="winter", action="remove")
    assert set(mira.images.values_list("tag_text", flat=True)) == {"red coat"}


def test_photos_are_moved_and_those_that_are_there_stay(client: Client, mira: Character) -> None:
    ann = make_character("Ann", "ohwxann", photos=1)
    toast = told(post(client, "move-images", image_ids=",".join(ids(mira)), to=ann.public_id))["toast"]
    assert ann.images.count() == 3 and mira.images.count() == 1
    assert toast["message"].startswith("2 photos moved to Ann. 1 photo stayed") and toast["level"] == "warning"


def test_the_dataset_costs_the_same_however_full(client: Client, mira: Character) -> None:
    few = queries(client, DATASET)
    many(mira)
    assert queries(client, DATASET) == few <= 6


def test_the_counts_are_those_of_the_character_that_is_shown(client: Client, mira: Character) -> None:
    make_character("Ann", "ohwxann", photos=1)
    page = text(client.get(f"{reverse('characters:counts')}?character={mira.public_id}", headers=HTMX))
    assert re.search(r'id="count-train"[^>]*>3<', page) and "Ann (1)" in page


def test_an_empty_grid_has_a_place_for_the_count(client: Client, mira: Character) -> None:
    assert '<p id="total" hidden>' in text(client.get("/dataset?q=nobody"))


def test_a_block_knows_the_page_that_begins_with_it(client: Client, mira: Character) -> None:
    many(mira)
    rest = client.get(client.get(DATASET).context["next_url"], headers=HTMX)
    again = client.get(rest.context["at_url"])
    assert [tile.url for tile in again.context["tiles"]] == [tile.url for tile in rest.context["tiles"]]
