"""The dataset's benchmark measures what it says, on a few rows."""

from pathlib import Path

import pytest

from characters.browse import bench
from characters.models import ImageTag, ReferenceImage

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def figures(volume: Path, monkeypatch: pytest.MonkeyPatch) -> list[bench.Figure]:
    monkeypatch.setattr(bench, "REQUESTS", 1)
    monkeypatch.setattr(bench, "PER_CHARACTER", 40)
    return bench.measure(120)


def test_no_page_asks_more_than_six_questions(figures: list[bench.Figure]) -> None:
    asked = [figure.queries for figure in figures if figure.queries is not None]
    assert len(asked) > 15 and max(asked) <= 6


def test_the_table_shows_every_question_once(figures: list[bench.Figure]) -> None:
    lines = bench.table(figures).splitlines()
    assert len(lines) == len(figures) + 2 and lines[0] == "| what | 120 photos | queries |"


def test_rows_are_photos_like_real_ones(volume: Path) -> None:
    bench.fill(50)
    image = ReferenceImage.objects.order_by("id").first()
    assert ReferenceImage.objects.count() == 50 and ImageTag.objects.count() == 100
    assert image is not None and sorted(image.tags.values_list("name", flat=True)) == sorted(image.tag_text.split(", "))
