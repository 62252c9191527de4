"""The bin, the clean-up rule and what pictures take: old ones go, marked ones stay, a minute is left to undo."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from characters.models import Character
from generation import tasks
from generation.gallery import binning, cleaning
from generation.gallery.answers import undo_url
from generation.models import Board, CleanupRule, Output
from isengard import storage
from isengard.errors import Invalid
from tests.pages.rows import HTMX, put, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(outputs: list[Output]) -> list[Output]:
    """The pictures, forty days old, under a rule of thirty."""
    Output.objects.update(created_at=timezone.now() - timedelta(days=40))
    cleaning.set_rule(after_days=30, keep_rating=3)
    return outputs


def due() -> set[int]:
    return set(cleaning.due(cleaning.rule()).values_list("pk", flat=True))


def test_nothing_goes_until_a_rule_says_so(outputs: list[Output]) -> None:
    Output.objects.update(created_at=timezone.now() - timedelta(days=4000))
    assert due() == set()


def test_young_pictures_stay(old: list[Output]) -> None:
    Output.objects.filter(pk=old[0].pk).update(created_at=timezone.now() - timedelta(days=29))
    assert due() == {output.pk for output in old[1:]}


@pytest.mark.parametrize("marked", [{"favourite": True}, {"rating": 3}, {"rating": 5}, {"verdict": "kept"}])
def test_marked_pictures_stay(old: list[Output], marked: dict[str, Any]) -> None:
    Output.objects.filter(pk=old[0].pk).update(**marked)
    assert old[0].pk not in due()


def test_a_rating_below_the_rules_does_not_save_a_picture(old: list[Output]) -> None:
    Output.objects.filter(pk=old[0].pk).update(rating=2)
    assert old[0].pk in due()


def test_pictures_on_a_board_stay(old: list[Output]) -> None:
    Board.objects.create(name="Best").outputs.add(old[0])
    assert old[0].pk not in due()


def test_pictures_of_a_running_request_stay(old: list[Output]) -> None:
    put(old[0].generation.job, "running")
    assert old[0].pk not in due()


@pytest.mark.django_db(transaction=True)
def test_the_sweep_bins_what_is_due_and_erases_it_a_minute_later(old: list[Output]) -> None:
    tasks.sweep()
    assert Output.objects.count() == 0 and storage.absolute(old[0].file).is_file()
    Output.everything.update(deleted_at=timezone.now() - timedelta(seconds=61))
    tasks.sweep()
    assert Output.everything.count() == 0 and not storage.absolute(old[0].file).exists()


def test_what_was_binned_within_the_minute_is_not_erased(outputs: list[Output]) -> None:
    binned = binning.bin_outputs(Output.objects.all())
    assert binning.purge() == 0 and binning.restore_outputs(binned.undo) == 5


def test_an_undo_that_was_used_says_so_kindly(client: Client, outputs: list[Output]) -> None:
    url = undo_url(binning.bin_outputs(Output.objects.all()).undo)
    first, second = (client.post(url, headers=HTMX) for _ in range(2))
    assert "5 pictures back" in first["HX-Trigger"] and "undone already" in second["HX-Trigger"]
    assert second.status_code == 200 and Output.objects.count() == 5


def test_an_undo_takes_the_toast_that_offers_it_off_the_page(client: Client, outputs: list[Output]) -> None:
    url = undo_url(binning.bin_outputs(Output.objects.all()).undo)
    page = text(client.post(f"{url}&all=1", headers=HTMX))
    assert page == f"""<i hx-swap-oob="delete:[id^='{url}']"></i>"""


@pytest.mark.parametrize("token", ["", "1", "x", "9" * 40])
def test_an_undo_that_names_nothing_is_too_late(token: str) -> None:
    with pytest.raises(Invalid, match="too late"):
        binning.restore_outputs(token)


@pytest.mark.parametrize("asked", [{"after_days": 0}, {"after_days": 3651}, {"keep_rating": 0}, {"keep_rating": 6}])
def test_an_impossible_rule_is_refused(asked: dict[str, int]) -> None:
    with pytest.raises(Invalid):
        cleaning.set_rule(**{"after_days": 30, "keep_rating": 1, **asked})


def test_storage_adds_up_by_character(mira: Character, outputs: list[Output]) -> None:
    use = cleaning.use()
    assert use.bytes == sum(output.size_bytes for output in outputs) and use.count == 5
    assert [(part.key, part.count) for part in use.parts] == [(mira.public_id, 5)]


def test_the_page_saves_the_rule_and_says_how_many_are_due(client: Client, old: list[Output]) -> None:
    page = text(client.post("/pictures/storage", {"after_days": "35", "keep_rating": "2"}, headers=HTMX))
    assert CleanupRule.objects.get().after_days == 35 and "Clean up now (5)" in page


def test_an_empty_field_turns_the_rule_off(client: Client, old: list[Output]) -> None:
    client.post("/pictures/storage", {"after_days": "", "keep_rating": "2"}, headers=HTMX)
    assert CleanupRule.objects.get().after_days is None
