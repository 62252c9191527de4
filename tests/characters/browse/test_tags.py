"""Tags: their one spelling, giving and taking, renaming, merging, counting."""

from pathlib import Path

import pytest

from characters.browse import services, tags
from characters.models import Character, Tag
from isengard.errors import Invalid, NotFound
from tests.people import make_character


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character("Mira", photos=3)


def texts(character: Character) -> list[str]:
    return list(character.images.order_by("id").values_list("tag_text", flat=True))


def test_a_tag_has_one_spelling() -> None:
    assert tags.normal("  Red \t Dress ") == "red dress"


@pytest.mark.parametrize("name", ["", "   ", "a" * 300, "red, blue", "red\x00", "\u202e"])
def test_an_unusable_tag_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        tags.normal(name)


def test_typed_tags_are_split_at_commas_and_kept_once() -> None:
    assert tags.parsed("Beach, ,beach,  Red dress") == ["beach", "red dress"]


def test_tagging_counts_photos_that_gained_something(mira: Character) -> None:
    tags.tag_images(mira.images.filter(name="photo-0.png"), ["beach"])
    assert tags.tag_images(mira.images.all(), ["Beach"]) == 2
    assert texts(mira) == ["beach"] * 3


def test_a_photos_tags_are_told_in_order(mira: Character) -> None:
    tags.tag_images(mira.images.filter(name="photo-1.png"), ["smile", "beach"])
    assert texts(mira) == ["", "beach, smile", ""]


def test_untagging_leaves_other_tags_and_forgets_unused_ones(mira: Character) -> None:
    tags.tag_images(mira.images.all(), ["smile", "beach"])
    assert tags.untag_images(mira.images.all(), ["smile"]) == 3
    assert (texts(mira), tags.names()) == (["beach"] * 3, ["beach"])


def test_tags_of_binned_photos_come_back_with_them(mira: Character) -> None:
    tags.tag_images(mira.images.filter(name="photo-0.png"), ["smile"])
    undo = services.bin_images(mira.images.all()).undo
    assert tags.frequencies() == []
    services.restore_images(undo)
    assert [(tag.name, tag.count) for tag in tags.frequencies()] == [("smile", 1)]


def test_setting_tags_replaces_them(mira: Character) -> None:
    image = mira.images.get(name="photo-0.png")
    tags.set_tags(image, ["smile", "beach"])
    tags.set_tags(image, ["night", "beach"])
    assert image.tag_text == "beach, night"


def test_renaming_reaches_every_photo(mira: Character) -> None:
    tags.tag_images(mira.images.all(), ["smile"])
    tags.rename_tag(tags.get_tag("smile"), "Big Smile")
    assert texts(mira) == ["big smile"] * 3


def test_renaming_onto_a_tag_in_use_makes_one_of_both(mira: Character) -> None:
    tags.tag_images(mira.images.all(), ["smile"])
    tags.tag_images(mira.images.filter(name="photo-0.png"), ["smiling"])
    tags.rename_tag(tags.get_tag("smiling"), "smile")
    assert (texts(mira), Tag.objects.count()) == (["smile"] * 3, 1)


def test_merging_keeps_every_photo_under_one_tag(mira: Character) -> None:
    for number, name in enumerate(["smile", "smiling", "grin"]):
        tags.tag_images(mira.images.filter(name=f"photo-{number}.png"), [name])
    tags.merge_tags([tags.get_tag("smiling"), tags.get_tag("grin")], tags.get_tag("smile"))
    assert texts(mira) == ["smile"] * 3


def test_frequencies_count_one_characters_photos(mira: Character) -> None:
    joon = make_character("Joon", "ohwxjoon", photos=1)
    tags.tag_images(mira.images.all() | joon.images.all(), ["smile"])
    tags.tag_images(joon.images.all(), ["beach"])
    assert [(tag.name, tag.count) for tag in tags.frequencies(mira)] == [("smile", 3)]
    assert [tag.name for tag in tags.frequencies()] == ["smile", "beach"]


def test_deleting_a_tag_says_how_many_wore_it(mira: Character) -> None:
    tags.tag_images(mira.images.all(), ["smile"])
    assert tags.delete_tag(tags.get_tag("smile")) == 3
    assert texts(mira) == [""] * 3


def test_an_unknown_tag_is_not_found(db: None) -> None:
    with pytest.raises(NotFound):
        tags.get_tag("smile")
