"""What captions should leave to the trigger word."""

import pytest

from characters.captions import lint, traits


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("a woman with long, brown hair, smiling", ["long, brown hair"]),
        ("ohwx, green eyes and a scar", ["green eyes", "scar"]),
        ("a blue-eyed boy", ["blue-eyed"]),
        ("a 30-year-old man", ["30-year-old"]),
        ("pale skin, freckles", ["pale skin", "freckles"]),
    ],
)
def test_what_stays_with_a_person_is_a_trait(caption: str, found: list[str]) -> None:
    assert [phrase for phrase, _ in traits.find(caption)] == found


@pytest.mark.parametrize("caption", ["closed eyes", "wet hair", "a brown dress", "blue background", "an oval mirror"])
def test_what_changes_from_photo_to_photo_is_no_trait(caption: str) -> None:
    assert traits.find(caption) == []


def test_a_phrase_in_four_of_five_captions_is_found_whole() -> None:
    captions = [
        "ohwx in a red wool coat",
        "ohwx, red wool coat, rain",
        "red wool coat",
        "a red wool coat, ohwx",
        "ohwx",
    ]
    (finding,) = lint.lint(captions, "ohwx")
    assert (finding.kind, finding.phrase, finding.count, finding.total) == ("repeated", "red wool coat", 4, 5)


def test_a_phrase_in_fewer_captions_is_left_alone() -> None:
    captions = ["ohwx in a red coat", "ohwx, red coat", "red coat", "ohwx smiling", "ohwx"]
    assert lint.lint(captions, "ohwx") == []


def test_the_trigger_and_the_usual_words_may_be_everywhere() -> None:
    assert lint.lint(["a photo of ohwx, a woman"] * 10, "ohwx") == []


def test_empty_captions_do_not_count() -> None:
    captions = ["ohwx, sunset beach"] * 5 + [""] * 20
    assert [(finding.phrase, finding.total) for finding in lint.lint(captions, "ohwx")] == [("sunset beach", 5)]


def test_a_trait_in_every_caption_is_told_once() -> None:
    findings = lint.lint([f"ohwx with red hair, day {day}" for day in "abcdef"], "ohwx")
    assert [(finding.kind, finding.phrase) for finding in findings if "hair" in finding.phrase] == [
        ("trait", "red hair")
    ]


@pytest.mark.parametrize(
    ("caption", "left"),
    [
        ("ohwx with red hair, smiling", "ohwx, smiling"),
        ("ohwx with red hair and green eyes", "ohwx"),
        ("ohwx with red hair and a hat", "ohwx with a hat"),
        ("ohwx with red hair wearing a hat", "ohwx wearing a hat"),
        ("ohwx with a hat and green eyes in a car", "ohwx with a hat in a car"),
        ("red hair", ""),
        ("ohwx, infrared hair dryer", "ohwx, infrared hair dryer"),
        ("  two   spaces, kept", "  two   spaces, kept"),
    ],
)
def test_stripping_leaves_a_caption_that_reads_well(caption: str, left: str) -> None:
    assert lint.strip(caption, ["red hair", "green eyes"]) == left


def test_markup_in_a_phrase_is_no_pattern() -> None:
    assert lint.strip("ohwx (.*) smiling", ["(.*)"]) == "ohwx smiling"
