"""Where the trigger word goes."""

import pytest

from training import prompts


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("smiling", "ohwx, smiling"),
        ("a photo of ohwx", "a photo of ohwx"),
        ("a photo of {trigger_word}", "a photo of ohwx"),
        ("OHWX smiling", "ohwx, OHWX smiling"),
        ("ohwxx smiling", "ohwx, ohwxx smiling"),
        ("(ohwx:1.2)", "(ohwx:1.2)"),
    ],
)
def test_the_trigger_stands_in_a_prompt_exactly_once(prompt: str, expected: str) -> None:
    assert prompts.insert_trigger(prompt, "ohwx") == expected


def test_a_trigger_of_special_characters_is_taken_literally() -> None:
    assert prompts.insert_trigger("a photo of a.b", "a.b") == "a photo of a.b"
    assert prompts.insert_trigger("a photo of axb", "a.b") == "a.b, a photo of axb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a photo of ohwx"),
        ("a portrait of a woman, smiling", "a portrait of ohwx, smiling"),
        ("ohwx in the rain", "ohwx in the rain"),
        ("smiling, red shirt", "ohwx, smiling, red shirt"),
        ("a woman beside a man", "ohwx beside a man"),
    ],
)
def test_captions_call_the_person_by_the_trigger(text: str, expected: str) -> None:
    assert prompts.caption(text, "ohwx") == expected


def test_a_backslash_in_a_trigger_survives_the_caption() -> None:
    assert prompts.caption("a photo of a man", r"x\1") == r"a photo of x\1"


def test_built_in_samples_end_with_a_leak_check_without_the_trigger() -> None:
    chosen = prompts.sample_prompts([], 3, "ohwx", "woman")
    assert [prompts.contains(prompt, "ohwx") for prompt in chosen] == [True, True, False]
    assert chosen[-1] == "a photo of a woman"


def test_a_single_sample_shows_the_person() -> None:
    assert prompts.sample_prompts([], 1, "ohwx", "person") == ("a photo of ohwx",)


def test_own_sample_prompts_come_first_and_never_exceed_the_count() -> None:
    assert prompts.sample_prompts(["as a king"], 2, "ohwx", "man") == ("ohwx, as a king", "a photo of a man")
    assert prompts.sample_prompts(["one", "two", "three"], 2, "ohwx", "man") == ("ohwx, one", "ohwx, two")


def test_five_samples_are_five() -> None:
    assert len(set(prompts.sample_prompts([], 5, "ohwx", "man"))) == 5


def test_the_class_word_is_read_from_the_first_text_that_tells_it() -> None:
    assert prompts.class_word("", "a portrait of a Woman, smiling", "a man") == "woman"
    assert prompts.class_word("mankind", "ohwx man, smiling") == "man"
    assert prompts.class_word("", "smiling") == "person"
