"""What speaks against a word as a trigger."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from characters.captions import tokens, trigger
from characters.models import Character
from isengard.engine import catalog
from tests.people import make_character


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    """Every check asks who has the word already."""


def codes(word: str, base: str = "flux-dev") -> list[str]:
    return [remark.code for remark in trigger.examine(word, base).remarks]


@pytest.mark.parametrize("word", ["ohwx", "zwkx", "qzvk"])
@pytest.mark.parametrize("base", ["pocket", "flux-dev"])
def test_a_made_up_word_is_good(word: str, base: str) -> None:
    assert codes(word, base) == []


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("emma", "known"),
        ("sks", "known"),
        ("woman", "class"),
        ("zqxwvkjhzqxwvkj", "split"),
        ("goldenqz", "parts"),
        ("a b", "rule"),
    ],
)
def test_a_word_with_a_drawback_is_told_which(word: str, code: str) -> None:
    assert codes(word) == [code]


def test_what_a_tokenizer_cannot_read_is_said() -> None:
    assert codes("öwx", "pocket") == ["lost"]


def test_pocket_knows_the_words_of_its_captions() -> None:
    assert codes("glasses", "pocket") == ["known"]


def test_a_trigger_of_somebody_else_is_taken_in_any_case() -> None:
    make_character("Mira", "zwkx", photos=0)
    assert codes("ZWKX") == ["taken"]


def test_a_characters_own_trigger_is_not_taken() -> None:
    mira = make_character("Mira", "zwkx", photos=0)
    assert trigger.examine("zwkx", "pocket", but=mira).good


@pytest.mark.parametrize("base", ["pocket", "flux-dev"])
def test_every_suggestion_is_a_good_word(base: str) -> None:
    found = trigger.suggestions("Mira", base)
    assert len(set(found)) == 3
    assert all(trigger.examine(word, base).good for word in found)


def test_a_suggestion_that_is_taken_is_not_made_again() -> None:
    first = trigger.suggestions("Mira", "pocket")[0]
    Character.objects.create(name="Other", trigger_word=first)
    assert first not in trigger.suggestions("Mira", "pocket")


def test_without_the_model_it_says_what_was_not_asked() -> None:
    assert trigger.examine("ohwx", "flux-dev").checked == (
        "Checked with FLUX.1-dev's CLIP. FLUX.1-dev's T5 could not be asked: FLUX.1-dev is not on this machine."
    )


def test_the_shipped_vocabulary_reads_as_clip_does() -> None:
    """Known ids of CLIP's tokenizer: 320 a, 1125 photo, 539 of, 2308 woman (OpenAI's own example prompts)."""
    assert tokens.shipped_clip().encode("a photo of Woman").ids == [320, 1125, 539, 2308]


def test_a_model_that_is_put_there_later_is_asked_too(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    settings.MODELS_DIR = tmp_path
    assert tokens.absent("flux-dev") == ("T5",)
    shutil.copytree(catalog.POCKET / "tokenizer_2", tmp_path / "FLUX.1-dev" / "tokenizer_2")
    assert tokens.absent("flux-dev") == ()


def test_a_clip_folder_of_words_and_merges_is_read(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    settings.MODELS_DIR = tmp_path
    folder = tmp_path / "FLUX.1-dev" / "tokenizer"
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text('{"a": 0, "b": 1, "a</w>": 2, "b</w>": 3, "ab</w>": 4}')
    (folder / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    (reader,) = tokens.readers("flux-dev")
    assert (reader.pieces("AB"), reader.pieces("ba")) == (["ab"], ["b", "a"])


def test_a_damaged_tokenizer_counts_as_absent(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    settings.MODELS_DIR = tmp_path
    for part, name in (("tokenizer", "vocab.json"), ("tokenizer", "merges.txt"), ("tokenizer_2", "tokenizer.json")):
        (tmp_path / "FLUX.1-dev" / part).mkdir(parents=True, exist_ok=True)
        (tmp_path / "FLUX.1-dev" / part / name).write_text("{cut off")
    assert [reader.name for reader in tokens.readers("flux-dev")] == ["FLUX.1-dev's CLIP"]
    assert tokens.absent("flux-dev") == ("T5",)
