"""The gallery's benchmark measures what it says, on a few rows."""

from pathlib import Path

import pytest

from characters.browse import bench as dataset
from generation.gallery import bench
from generation.models import Output

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def figures(volume: Path, monkeypatch: pytest.MonkeyPatch) -> list[dataset.Figure]:
    monkeypatch.setattr(dataset, "REQUESTS", 1)
    return bench.measure(400)


def test_no_page_asks_more_than_seven_questions(figures: list[dataset.Figure]) -> None:
    asked = [figure.queries for figure in figures if figure.queries is not None]
    assert len(asked) == 17 and max(asked) <= 7


def test_rows_are_pictures_of_requests(figures: list[dataset.Figure]) -> None:
    assert Output.objects.count() == 400 and Output.objects.filter(favourite=True).count() == 40
