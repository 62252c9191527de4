"""Captions with their versions."""

import pytest

from characters.captions import services
from characters.models import CaptionVersion, Character, ReferenceImage
from isengard.errors import Invalid


def texts(image: ReferenceImage) -> list[str]:
    return list(image.caption_versions.order_by("id").values_list("text", flat=True))


def current(image: ReferenceImage) -> str:
    return ReferenceImage.objects.get(pk=image.pk).caption


def make_old(image: ReferenceImage) -> None:
    """As if the newest version had been written a day ago."""
    CaptionVersion.objects.filter(image=image).update(created_at="2020-01-01T00:00Z")


def test_a_caption_is_kept_with_its_author(photo: ReferenceImage) -> None:
    assert services.write(image=photo, text=" ohwx, smiling\r\n", by="template")
    assert current(photo) == "ohwx, smiling"
    assert services.author(photo) == "template"


def test_the_same_text_again_is_no_change_and_no_version(photo: ReferenceImage) -> None:
    services.write(image=photo, text="ohwx", by="user")
    assert not services.write(image=photo, text="ohwx ", by="model")
    assert texts(photo) == ["ohwx"]


def test_a_text_from_before_there_were_versions_is_kept(photo: ReferenceImage) -> None:
    ReferenceImage.objects.filter(pk=photo.pk).update(caption="by hand")
    services.write(image=photo, text="by model", by="model")
    assert list(photo.caption_versions.order_by("id").values_list("text", "by")) == [
        ("by hand", "user"),
        ("by model", "model"),
    ]


def test_typing_on_is_one_version(photo: ReferenceImage) -> None:
    for text in ("ohwx", "ohwx, smi", "ohwx, smiling"):
        services.write(image=photo, text=text, by="user")
    assert texts(photo) == ["ohwx, smiling"]


def test_another_text_at_once_loses_none(photo: ReferenceImage) -> None:
    services.write(image=photo, text="ohwx on a beach", by="user")
    services.write(image=photo, text="smiling", by="user")
    assert texts(photo) == ["ohwx on a beach", "smiling"]


def test_a_word_changed_at_once_is_no_version(photo: ReferenceImage) -> None:
    services.write(image=photo, text="ohwx on a beech, smiling", by="user")
    services.write(image=photo, text="ohwx on a beach, smiling", by="user")
    assert texts(photo) == ["ohwx on a beach, smiling"]


def test_another_text_later_is_another_version(photo: ReferenceImage) -> None:
    services.write(image=photo, text="ohwx on a beach", by="user")
    make_old(photo)
    services.write(image=photo, text="ohwx in a car", by="user")
    assert texts(photo) == ["ohwx on a beach", "ohwx in a car"]


def test_clearing_a_caption_loses_nothing(photo: ReferenceImage) -> None:
    services.write(image=photo, text="ohwx on a beach", by="user")
    services.write(image=photo, text="", by="user")
    assert texts(photo) == ["ohwx on a beach", ""]


def test_the_newest_twenty_versions_are_kept(photo: ReferenceImage) -> None:
    for number in range(25):
        services.write(image=photo, text=f"{number}", by="template")
    assert texts(photo) == [str(number) for number in range(5, 25)]


def test_a_restored_text_counts_as_a_persons(photo: ReferenceImage) -> None:
    services.write(image=photo, text="first", by="model")
    services.write(image=photo, text="second", by="model")
    services.restore(version=photo.caption_versions.get(text="first"))
    assert (current(photo), services.author(photo)) == ("first", "user")


def test_a_caption_over_the_limit_is_refused_with_how_much_is_too_much(photo: ReferenceImage) -> None:
    with pytest.raises(Invalid, match=r"at most 2,000 characters; this one has 2,010\. Shorten it by 10"):
        services.write(image=photo, text="x" * 2010, by="user")


@pytest.mark.parametrize(
    ("text", "kept"), [("a\x00b", "ab"), ("a\ud800b", "ab"), ("<b>a</b>", "<b>a</b>"), ("a\nb", "a\nb")]
)
def test_any_characters_are_taken_but_those_that_no_text_has(photo: ReferenceImage, text: str, kept: str) -> None:
    services.write(image=photo, text=text, by="user")
    assert current(photo) == kept


def test_many_are_changed_at_once_and_taken_back_at_once(mira: Character, photo: ReferenceImage) -> None:
    services.write(image=photo, text="by hand", by="user")
    done = services.change_all(images=mira.images.all(), change=lambda image: f"{image.caption}!", by="bulk")
    assert (done.count, current(photo)) == (3, "by hand!")
    assert services.undo(token=done.undo) == 3
    assert sorted(mira.images.values_list("caption", flat=True)) == ["", "", "by hand"]


def test_undo_leaves_what_was_written_since(mira: Character, photo: ReferenceImage) -> None:
    done = services.change_all(images=mira.images.all(), change=lambda image: "bulk", by="bulk")
    services.write(image=photo, text="by hand", by="user")
    assert services.undo(token=done.undo) == 2
    assert current(photo) == "by hand"


def test_one_caption_that_would_be_too_long_changes_none(mira: Character, photo: ReferenceImage) -> None:
    services.write(image=photo, text="x" * 1999, by="user")
    with pytest.raises(Invalid, match=r"photo-0\.png: .* Nothing was changed"):
        services.change_all(images=mira.images.all(), change=lambda image: f"{image.caption}yz", by="bulk")
    assert mira.images.exclude(caption="").count() == 1


def test_a_second_click_on_undo_that_waited_for_the_first_finds_nothing_to_do(photo: ReferenceImage) -> None:
    assert not photo.caption_versions.exists()
    assert services._take_back([photo.pk]) == 0


def test_a_forged_undo_is_refused(db: None) -> None:
    with pytest.raises(Invalid, match="no longer"):
        services.undo(token="[1,2,3]")


def test_bulk_changes_cost_the_same_queries_for_any_number(
    mira: Character, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    with django_assert_max_num_queries(10):
        services.change_all(images=mira.images.all(), change=lambda image: "x", by="bulk")
