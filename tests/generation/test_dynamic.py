"""Choices in prompts: what a seed makes of them, and every way they are wrong."""

from pathlib import Path

import pytest

from generation import dynamic, services, wildcards
from generation.handlers import GenerationHandler
from isengard import storage
from isengard.errors import Invalid

HAIR = ["red", "black", "grey"]


def results(text: str, seeds: int = 60) -> set[str]:
    return {dynamic.expand(text, str(seed), lambda name: HAIR) for seed in range(seeds)}


def wildcard(name: str, text: str) -> None:
    path = storage.absolute(f"wildcards/{name}.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_each_option_comes_up() -> None:
    assert results("a {red|blue} hat") == {"a red hat", "a blue hat"}


def test_the_same_seed_makes_the_same_choice() -> None:
    assert len({dynamic.expand("{a|b|c|d|e}", "7:0", wildcards.lines) for _ in range(5)}) == 1


def test_several_options_are_different_ones() -> None:
    assert results("{2$$a|b}") == {"a, b", "b, a"}


def test_a_range_of_counts_and_a_word_between() -> None:
    assert {len(found.split(" and ")) for found in results("{1-3$$ and $$a|b|c}")} == {1, 2, 3}


def test_more_options_than_there_are_gives_all() -> None:
    assert {"".join(sorted(found)) for found in results("{9$$$$a|b}")} == {"ab"}


def test_weights_make_an_option_likelier() -> None:
    often = [dynamic.expand("{9::a|1::b}", str(seed), wildcards.lines) for seed in range(200)].count("a")
    assert 150 < often < 200


def test_groups_stand_in_groups() -> None:
    assert results("{{dark |}blue|green}") == {"dark blue", "blue", "green"}


def test_counts_take_the_lines_of_a_wildcard() -> None:
    assert all(len(set(found.split(", "))) == 2 for found in results("{2$$__hair__}"))


@pytest.mark.parametrize("text", ["{trigger_word}", "a {b", "c} d", "{x}", "<b>&amp;</b> 👩‍🚀 __", "a|b"])
def test_what_offers_no_choice_stays_as_it_is(text: str) -> None:
    assert dynamic.expand(text, "1", wildcards.lines) == text and not dynamic.is_dynamic(text)


def test_wildcards_are_lines_of_files_without_comments(volume: Path) -> None:
    wildcard("places/city", "# cities\nParis\n\n  Rome \n")
    assert (wildcards.names(), wildcards.lines("places/city")) == (["places/city"], ("Paris", "Rome"))


def test_a_wildcard_is_read_again_only_when_it_changed(volume: Path) -> None:
    wildcard("city", "Par\0is")
    before = wildcards._read.cache_info().misses
    assert {wildcards.lines("city") for _ in range(50)} == {("Paris",)}
    assert wildcards._read.cache_info().misses == before + 1
    wildcard("city", "Rome, at night")
    assert wildcards.lines("city") == ("Rome, at night",)


@pytest.mark.parametrize(
    ("name", "code"), [("nope", "no_wildcard"), ("empty", "empty_wildcard"), ("../x", "no_wildcard")]
)
def test_a_wildcard_without_choices_is_refused(volume: Path, name: str, code: str) -> None:
    wildcard("empty", "# nothing\n")
    with pytest.raises(Invalid) as caught:
        wildcards.lines(name)
    assert caught.value.code == code


@pytest.mark.parametrize("line", ["__loop__", "__loop__ __loop__ __loop__", "{__loop__|__loop__}"])
def test_wildcards_that_go_in_circles_end(volume: Path, line: str) -> None:
    wildcard("loop", line)
    with pytest.raises(Invalid) as caught:
        dynamic.expand("__loop__", "1", wildcards.lines)
    assert caught.value.code == "wild_prompt"


def test_every_picture_keeps_its_own_words(db: None, volume: Path) -> None:
    made = services.start_generation(prompt="{red|blue|green|black} hat", count=8, seed=5)
    spec = GenerationHandler().spec(made.job)
    words = [variant["prompt"] for variant in spec["variants"]]
    assert made.prompt == "{red|blue|green|black} hat" and len(set(words)) > 1
    assert spec["seeds"] == tuple(range(5, 13)) and spec["recipe"]["template"] == made.prompt


def test_one_seed_for_all_needs_a_choice(db: None, volume: Path) -> None:
    with pytest.raises(Invalid) as caught:
        services.start_generation(prompt="a hat", count=2, seed=5, seeds="locked")
    assert caught.value.code == "same_picture"
    assert services.start_generation(prompt="{a|b} hat", count=3, seed=5, seeds="locked").seeds == (5, 5, 5)


def test_random_seeds_are_all_their_own(db: None, volume: Path) -> None:
    made = services.start_generation(prompt="a hat", count=4, seed=5, seeds="random")
    assert made.seeds[0] == 5 and len(set(made.seeds)) == 4


def test_batches_go_on_with_the_seeds(db: None, volume: Path) -> None:
    first = services.start_generation(prompt="a hat", count=2, seed=5, batches=3)
    seeds = [row.seeds for row in type(first).objects.order_by("pk")]
    assert seeds == [(5, 6), (7, 8), (9, 10)]


def test_a_choice_that_grows_too_long_is_refused(db: None, volume: Path) -> None:
    wildcard("long", "x" * 1999)
    with pytest.raises(Invalid) as caught:
        services.start_generation(prompt="__long__ __long__")
    assert caught.value.code == "long_prompt"
