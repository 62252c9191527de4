"""The judges: what a portrait shows, who is in it, and the table that tells how good Pocket is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from isengard.engine.pocket import JUDGES
from isengard.engine.pocket.captions import facts
from isengard.engine.pocket.card import END, START, Gate, read_gates, write_card, write_results
from isengard.engine.pocket.faces import person, render, shot
from isengard.engine.pocket.judge_training import equal_error
from isengard.engine.pocket.judges import READS, Judges, centre_of, load_judges
from isengard.engine.pocket.measure import PROMISED, name_prompt, subjects

FIRST = 940_000  # people whom neither Pocket nor the judges met


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges()


def portraits(who: int, count: int, size: int = 64) -> list[Image.Image]:
    return [render(person(who), shot(who * 10 + i), size) for i in range(count)]


def test_the_judges_are_small_enough_for_the_repository() -> None:
    assert (JUDGES / "reader.safetensors").stat().st_size <= 1_000_000
    assert (JUDGES / "embedder.safetensors").stat().st_size <= 2_000_000


def test_the_reader_answers_every_attribute_of_every_picture_with_one_of_its_words(judges: Judges) -> None:
    answers = judges.read(portraits(FIRST, 3))
    assert len(answers) == 3
    assert all(answer[key] in values for answer in answers for key, values in READS.items())


def test_the_reader_names_nine_in_ten_colours_of_people_it_never_saw(judges: Judges) -> None:
    pairs = [(person(FIRST + i), shot(FIRST + i)) for i in range(20)]
    answers = judges.read([render(*pair, 64) for pair in pairs])
    keys = ("skin", "hair_colour", "shirt", "background")
    right = [answer[key] == facts(*pair)[key] for answer, pair in zip(answers, pairs, strict=True) for key in keys]
    assert np.mean(right) >= 0.9


def test_the_reader_tells_who_wears_a_hat_or_glasses(judges: Judges) -> None:
    pairs = [(person(FIRST + i), shot(FIRST + i)) for i in range(30)]
    answers = judges.read([render(*pair, 64) for pair in pairs])
    right = [a[key] == facts(*pair)[key] for a, pair in zip(answers, pairs, strict=True) for key in ("hat", "glasses")]
    assert np.mean(right) >= 0.85


def test_embeddings_have_length_one_and_come_out_the_same_twice(judges: Judges) -> None:
    first, second = judges.embed(portraits(FIRST, 2)), judges.embed(portraits(FIRST, 2))
    assert torch.allclose(first.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.equal(first, second)


def test_a_picture_lies_closest_to_the_centre_of_its_own_person(judges: Judges) -> None:
    everyone = [judges.embed(portraits(FIRST + n, 10)) for n in range(6)]
    centres = torch.stack([centre_of(pictures[:8]) for pictures in everyone])
    nearest = torch.cat([(pictures[8:] @ centres.T).argmax(1) for pictures in everyone])
    assert (nearest == torch.arange(6).repeat_interleave(2)).float().mean() >= 0.9


def test_an_array_and_a_larger_picture_are_judged_like_the_small_picture(judges: Judges) -> None:
    small, large = portraits(FIRST, 1), portraits(FIRST, 1, 192)
    both = judges.embed([*small, *large])
    assert torch.equal(judges.embed(np.asarray(small[0])[None]), judges.embed(small))
    assert float(both[0] @ both[1]) > 0.9


def test_the_threshold_lies_between_a_persons_own_pictures_and_a_strangers(judges: Judges) -> None:
    own, stranger = judges.embed(portraits(FIRST + 1, 9)), judges.embed(portraits(FIRST + 2, 4))
    centre = centre_of(own[:8])
    assert float(own[8] @ centre) > judges.threshold > float((stranger @ centre).mean())


def test_the_equal_error_rate_is_where_misses_meet_false_alarms() -> None:
    rate, threshold = equal_error(torch.linspace(0.4, 1.0, 601), torch.linspace(0.0, 0.6, 601))
    assert rate == pytest.approx(1 / 6, abs=0.01)
    assert threshold == pytest.approx(0.5, abs=0.01)


def test_every_promised_attribute_is_one_the_reader_reads() -> None:
    assert set(PROMISED) <= set(READS)


def test_the_asked_for_people_wear_hats_and_glasses_too() -> None:
    worn = [facts(*pair) for pair in subjects(200)]
    assert {fact["hat"] for fact in worn} == set(READS["hat"])
    assert {fact["glasses"] for fact in worn} == set(READS["glasses"])


def test_a_name_prompt_tells_nothing_of_the_persons_looks() -> None:
    how = shot(FIRST)
    assert (
        name_prompt("qvbl", how) == f"a photo of qvbl, {how.expression}, {how.shirt} shirt, {how.background} background"
    )


@pytest.mark.parametrize(("gate", "passed"), [
    (Gate("a", 0.8, 0.8), True), (Gate("a", 0.79, 0.8), False), (Gate("a", 0.36, 0.35, at_most=True), False),
    (Gate("a", 0.1), None),
])  # fmt: skip
def test_a_gate_is_passed_on_the_promised_side_of_its_bound(gate: Gate, passed: bool | None) -> None:
    assert gate.passed is passed


def test_the_card_shows_the_gates_of_all_results_and_keeps_its_other_text(tmp_path: Path) -> None:
    (card := tmp_path / "card.md").write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write_results(tmp_path / "a.json", [Gate("colours", 0.79996, 0.8)])
    write_results(tmp_path / "b.json", [Gate("leak", 0.2, 0.35, at_most=True)], seconds=3)
    write_card(card, [tmp_path / "a.json", tmp_path / "b.json"])
    text = card.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "**missed**" in text and "≤ 0.35" in text


def test_gates_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    gates = [Gate("colours", 0.123456789, 0.8, note="drawn"), Gate("for information", 1.0)]
    write_results(tmp_path / "a.json", gates)
    assert read_gates([tmp_path / "a.json"]) == gates


def test_a_card_without_the_marks_is_refused(tmp_path: Path) -> None:
    (card := tmp_path / "card.md").write_text("no marks")
    with pytest.raises(ValueError, match="has no lines"):
        write_card(card, [])
