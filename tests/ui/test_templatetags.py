"""The words and marks of the look: what a person reads for a state, a duration, a size or a moment."""

from datetime import timedelta

import pytest
from django.template import Context, Engine
from django.utils import timezone

from isengard.templatetags import ui


def render(source: str, **values: object) -> str:
    return Engine(builtins=["isengard.templatetags.ui"]).from_string(source).render(Context(values))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (360, "6 min"),
        (3570, "1 h"),
        (4800, "1 h 20 min"),
        (183600, "2 d 3 h"),
    ],
)
def test_a_duration_reads_as_a_person_would_say_it(seconds: float, words: str) -> None:
    assert ui.duration(seconds) == words


@pytest.mark.parametrize("seconds", [None, -1, float("nan"), float("inf")])
def test_an_unknown_duration_is_a_dash(seconds: float | None) -> None:
    assert ui.duration(seconds) == "–"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_600, "1.0 MB"), (4_240_000, "4.2 MB"), (118_000_000, "118 MB")],
)
def test_a_size_has_two_or_three_digits_and_a_unit(count: int, words: str) -> None:
    assert ui.byte_size(count) == words


def test_a_badge_says_its_state_in_words() -> None:
    assert render('{% badge "completed" %}') == '<span class="badge badge-completed">Completed</span>'


def test_a_badge_escapes_a_word_it_was_given() -> None:
    assert "&lt;b&gt;" in render('{% badge "running" word %}', word="<b>")


def test_an_unknown_state_cannot_choose_a_class() -> None:
    assert 'class="badge badge-other"' in render("{% badge state %}", state='x" onclick="')


def test_an_icon_beside_words_is_hidden_from_screen_readers() -> None:
    assert 'aria-hidden="true"' in render('{% icon "users" %}')


def test_an_icon_alone_has_a_name() -> None:
    assert 'role="img" aria-label="Close"' in render('{% icon "x" "" "Close" %}')


def test_a_moment_reads_as_its_distance() -> None:
    assert ">6 min ago</time>" in str(ui.timeago(timezone.now() - timedelta(minutes=6)))


def test_a_moment_keeps_its_exact_time() -> None:
    moment = timezone.now()
    assert f'datetime="{moment.isoformat(timespec="seconds")}"' in str(ui.timeago(moment))


def test_a_very_old_moment_is_not_counted_in_months() -> None:
    assert ui.distance(400 * 86400) == "over a year ago"
