"""Filters, orders and keyset pages of the dataset."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from characters.browse import query, tags
from characters.browse.query import Filter
from characters.models import Character, ReferenceImage
from isengard.errors import Invalid
from tests.people import add_photo, make_character

ORDERS = sorted(query.SORTS)


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character("Mira Belle", photos=0)


def photos(character: Character, count: int, **fields: Any) -> list[ReferenceImage]:
    return [add_photo(character, number, **fields) for number in range(count)]


def names(**asked: Any) -> list[str]:
    return sorted(image.name for image in query.found(Filter.of(asked)))


def walk(chosen: Filter, limit: int) -> list[int]:
    """Every photo, page by page from the first one."""
    seen, cursor = [], ""
    while True:
        page = query.page(chosen, cursor, limit)
        seen += [image.pk for image in page.images]
        if not (cursor := page.next):
            return seen


@pytest.mark.parametrize("sort", ORDERS)
def test_pages_show_every_photo_once_although_keys_repeat(mira: Character, sort: str) -> None:
    photos(mira, 7)
    mira.images.filter(name__in=["photo-2.png", "photo-5.png"]).update(width=10, caption="longer")
    assert sorted(walk(Filter(sort=sort), 2)) == sorted(mira.images.values_list("pk", flat=True))


@pytest.mark.parametrize("sort", ORDERS)
def test_going_back_from_the_last_page_shows_the_same_in_the_same_order(mira: Character, sort: str) -> None:
    photos(mira, 7)
    page = query.page(Filter(sort=sort), query.LAST, 3)
    seen = [image.pk for image in page.images]
    while page.previous:
        page = query.page(Filter(sort=sort), page.previous, 3)
        seen = [image.pk for image in page.images] + seen
    assert seen == walk(Filter(sort=sort), 7)


def test_reversed_orders_mirror_each_other(mira: Character) -> None:
    photos(mira, 5)
    assert walk(Filter(sort="name"), 2) == walk(Filter(sort="name-reversed"), 2)[::-1]


def test_the_first_page_has_nothing_before_and_the_last_nothing_after(mira: Character) -> None:
    photos(mira, 3)
    first, last = query.page(Filter(), "", 2), query.page(Filter(), query.LAST, 2)
    assert (first.previous, last.next) == ("", "")
    assert first.next and last.previous


def test_the_last_of_the_pages_says_what_comes_before_it(mira: Character) -> None:
    photos(mira, 3)
    last = query.page(Filter(), query.page(Filter(), "", 2).next, 2)
    assert query.page(Filter(), last.previous, 2).images == query.page(Filter(), "", 2).images


@pytest.mark.parametrize("cursor", ["x", "WyJhZnRlciIsImEiXQ", "bnVsbA", "WyJhZnRlciIsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0"])
def test_a_cursor_of_somebody_else_is_refused(db: None, cursor: str) -> None:
    with pytest.raises(Invalid):
        query.page(Filter(), cursor)


@pytest.mark.parametrize("field", ["split", "verdict", "sort", "caption"])
def test_a_value_that_nobody_offers_is_refused_and_not_ignored(field: str) -> None:
    with pytest.raises(Invalid):
        Filter.of({field: "everything"})


def test_params_say_only_what_narrows_and_read_back_the_same() -> None:
    chosen = Filter.of({"q": " beach ", "missing": "1", "split": "", "sort": "newest"})
    assert chosen.params() == {"q": "beach", "missing": "1"}
    assert Filter.of(chosen.params()) == chosen


@pytest.mark.parametrize("words", ["img 12", "IMG_12", "beach", "wet str", "SUN", "belle", "mira beach", "été"])
def test_search_finds_by_the_start_of_words_anywhere(mira: Character, words: str) -> None:
    image = add_photo(mira, 0, caption="At the Beach, Été")
    ReferenceImage.objects.filter(pk=image.pk).update(original_name="IMG_1234.JPG")
    tags.tag_images(mira.images.all(), ["wet street", "sunset"])
    assert names(q=words) == ["photo-0.png"]


@pytest.mark.parametrize("words", ["each", "joon", "beach joon", "'; drop table", "&|!", "12)"])
def test_search_needs_every_word_and_survives_odd_ones(mira: Character, words: str) -> None:
    add_photo(mira, 0, caption="beach")
    assert names(q=words) == []


def test_search_by_name_of_one_character_and_caption_of_another_mixes_nothing(mira: Character) -> None:
    add_photo(mira, 0, caption="forest")
    add_photo(make_character("Joon", photos=0), 1, caption="beach")
    assert names(q="mira beach") == []


@pytest.mark.parametrize("sort", ORDERS)
@pytest.mark.parametrize("near", [1, 2, 4, 100])
def test_search_shows_every_match_once_near_and_far(
    mira: Character, sort: str, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "NEAR", near)
    photos(mira, 7)
    mira.images.filter(name__in=["photo-1.png", "photo-4.png", "photo-6.png"]).update(caption="beach")
    chosen = Filter(q="beach", sort=sort)
    everything = [pk for pk in walk(Filter(sort=sort), 7) if mira.images.get(pk=pk).caption]
    assert walk(chosen, 2) == walk(chosen, 1) == everything


def test_filters_narrow_together(mira: Character) -> None:
    one, two, three = photos(mira, 3)
    ReferenceImage.objects.filter(pk__in=[one.pk, two.pk]).update(split="reference", verdict="ready")
    tags.tag_images(ReferenceImage.objects.filter(pk__in=[two.pk, three.pk]), ["smile"])
    assert names(split="reference", verdict="ready", tag="Smile", character=mira.public_id) == [two.name]


@pytest.mark.parametrize("asked", [{"character": "char-00000000"}, {"tag": "nobody's"}])
def test_an_unknown_character_or_tag_has_no_photos(mira: Character, asked: dict[str, str]) -> None:
    photos(mira, 1)
    assert names(**asked) == []


def test_photos_without_a_caption_are_found(mira: Character) -> None:
    photos(mira, 2)
    mira.images.filter(name="photo-1.png").update(caption="x")
    assert (names(caption="without"), names(caption="with")) == (["photo-0.png"], ["photo-1.png"])


def test_a_page_of_everything_asks_at_most_four_questions(mira: Character) -> None:
    tags.tag_images(ReferenceImage.objects.filter(pk=photos(mira, 1)[0].pk), ["smile"])
    asked = Filter.of({"q": "mira photo", "tag": "smile", "character": mira.public_id, "split": "train"})
    with CaptureQueriesContext(connection) as queries:
        page = query.page(asked)
        assert page.images[0].character.name == "Mira Belle"
    assert len(queries) == 4
