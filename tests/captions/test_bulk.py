"""Edits of many captions."""

from typing import Any

import pytest

from characters.captions import bulk
from characters.models import Character, ReferenceImage
from isengard.errors import Invalid


def after(image: ReferenceImage, caption: str, op: str, **options: Any) -> str:
    image.caption = caption
    return bulk.edit(op, options).change(image)


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ({"find": "cat", "replace": "dog"}, "a dog, dogs, dog"),
        ({"find": "cat", "replace": "dog", "whole_word": True}, "a dog, cats, dog"),
        ({"find": "cat", "replace": "dog", "match_case": True}, "a cat, cats, Cat".replace("cat", "dog")),
        ({"find": "Cat", "replace": r"\1"}, r"a \1, \1s, \1"),
        ({"find": "cats", "replace": ""}, "a cat, Cat"),
        ({"find": "(", "replace": "x"}, "a cat, cats, Cat"),
    ],
)
def test_find_and_replace(photo: ReferenceImage, options: dict[str, Any], result: str) -> None:
    assert after(photo, "a cat, cats, Cat", "replace", **options) == result


@pytest.mark.parametrize(
    ("op", "options", "result"),
    [
        ("prefix", {"text": "indoors"}, "indoors, a woman, smiling"),
        ("prefix", {"text": "a"}, "a woman, smiling"),
        ("suffix", {"text": "film grain."}, "a woman, smiling, film grain."),
        ("suffix", {"text": ", film"}, "a woman, smiling, film"),
        ("trigger", {}, "ohwx, smiling"),
        ("strip", {"phrases": ["smiling"]}, "a woman"),
    ],
)
def test_an_edit_done_twice_is_done_once(photo: ReferenceImage, op: str, options: dict[str, Any], result: str) -> None:
    once = after(photo, "a woman, smiling", op, **options)
    assert (once, after(photo, once, op, **options)) == (result, result)


def test_a_template_leaves_captions_that_are_there(mira: Character, photo: ReferenceImage) -> None:
    assert after(photo, "by hand", "template", template="{trigger}") == "by hand"
    assert after(photo, "by hand", "template", template="{trigger}", overwrite=True) == "ohwx"
    assert after(photo, "", "template", template="{trigger}") == "ohwx"


def test_a_preview_shows_before_and_after_and_changes_nothing(mira: Character) -> None:
    shown = bulk.preview(mira.images.all(), bulk.edit("prefix", {"text": "indoors"}))
    assert (shown.changed, shown.total, shown.problem) == (3, 3, "")
    assert [(row.before, row.after) for row in shown.rows] == [("", "indoors")] * 3
    assert not mira.images.exclude(caption="").exists()


def test_a_preview_names_the_caption_that_would_be_too_long(mira: Character, photo: ReferenceImage) -> None:
    ReferenceImage.objects.filter(pk=photo.pk).update(caption="x" * 1990)
    shown = bulk.preview(mira.images.all(), bulk.edit("suffix", {"text": "a long addition"}))
    assert shown.problem.startswith("photo-0.png: A caption has at most 2,000 characters")


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("replace", {"find": " "}),
        ("prefix", {}),
        ("strip", {"phrases": []}),
        ("template", {"template": "{x}"}),
        ("no", {}),
    ],
)
def test_an_edit_that_says_nothing_is_refused(db: None, op: str, options: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        bulk.edit(op, options)


def test_the_template_knows_tags_and_description(mira: Character, photo: ReferenceImage) -> None:
    Character.objects.filter(pk=mira.pk).update(description="A woman with a hat")
    ReferenceImage.objects.filter(pk=photo.pk).update(tag_text="beach, rain")
    fresh = ReferenceImage.objects.select_related("character").get(pk=photo.pk)
    assert after(fresh, "", "template", template="{trigger} {class}, {tags}") == "ohwx woman, beach, rain"
