"""Captions from a template."""

import pytest

from characters.captions import template
from characters.captions.template import Facts
from isengard.errors import Invalid

FACTS = Facts("ohwx", "woman", tags="beach, sunset", framing="close", filename="holiday_in-Rome.jpg", name="Mira")


@pytest.mark.parametrize(
    ("words", "caption"),
    [
        ("a photo of {trigger} {class}, {tags}", "a photo of ohwx woman, beach, sunset"),
        ("{trigger_word}, {framing}", "ohwx, close-up"),
        ("{filename} with {name}", "holiday in Rome with Mira"),
    ],
)
def test_fields_are_filled_in(words: str, caption: str) -> None:
    assert template.render(template.check(words), FACTS) == caption


def test_a_field_without_a_value_leaves_no_trace() -> None:
    assert template.render("a photo of {trigger}, {framing}, {tags}", Facts("ohwx", "woman")) == "a photo of ohwx"


@pytest.mark.parametrize("name", ["IMG_1234.jpg", "DSC00012.JPG", "PXL_20240101_120000.jpg", "20240101.png"])
def test_a_cameras_number_is_no_word(name: str) -> None:
    assert template.render("{trigger}, {filename}", Facts("ohwx", "woman", filename=name)) == "ohwx"


@pytest.mark.parametrize("words", ["", "{trigger.__class__}", "{who}", "a { b", "x" * 501])
def test_a_template_that_cannot_be_filled_is_refused_with_the_fields(words: str) -> None:
    with pytest.raises(Invalid, match="template"):
        template.check(words)
