"""Measures the dataset's pages and bulk changes on as many rows as asked for, in a database of its own.

Rows are made by the database itself, so that a million take minutes and not hours. They have no files: what is
measured is the server's own work from request to answer, without the network and the browser."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from characters.browse import query, selection, services, tags, totals
from characters.models import ReferenceImage

REQUESTS = 60
# Photos per character, tags per photo: a large real dataset, such as a studio's that keeps everything.
PER_CHARACTER, TAGS_EACH = 1000, 2
TAGS = ("smile", "beach", "night", "studio", "hat", "glasses", "street", "profile", "laughing", "winter", "rare")
CAPTION_WORDS = ("portrait", "looking", "window", "light", "garden", "red", "dress", "car", "forest", "crowd")

CHARACTERS = """
INSERT INTO characters_character (public_id, name, trigger_word, description, is_sample, created_at, updated_at)
SELECT 'char-' || lpad(to_hex(n), 8, '0'), 'Person ' || n, 'ohwx' || n, '', false, now(), now()
FROM generate_series(1, %(characters)s) n"""
# Most photos are train and ready; one in a thousand is blocked, one in fifty has no caption.
IMAGES = """
INSERT INTO characters_referenceimage (public_id, character_id, file, name, original_name, sha256, content_type, width,
  height, size_bytes, split, made_by, caption, verdict, mask, mask_by, color, thumb_ready, tag_text, created_at)
SELECT 'img-' || lpad(to_hex(n), 12, '0'), (SELECT min(id) FROM characters_character) + n %% %(characters)s,
  'characters/bench/' || n || '.jpg', 'IMG_' || n || '.jpg', 'IMG_' || n || '.jpg', md5(n::text), 'image/jpeg',
  640 + n * 37 %% 3000, 480 + n * 91 %% 3000, 100000 + n %% 900000,
  CASE WHEN n %% 10 = 0 THEN 'reference' WHEN n %% 25 = 1 THEN 'synthetic' ELSE 'train' END, '',
  CASE WHEN n %% 50 = 0 THEN '' ELSE 'a photo of a person, ' || (%(words)s::text[])[1 + n %% 10] || ' ' ||
    (%(words)s::text[])[1 + n / 10 %% 10] || ' number' || n %% 5000 END,
  CASE WHEN n %% 1000 = 0 THEN 'blocked' WHEN n %% 7 = 0 THEN 'attention' ELSE 'ready' END, '', '', '#20242c', true,
  (%(tags)s::text[])[1 + n %% 10] || ', ' || (%(tags)s::text[])[1 + (n + 3) %% 10], now()
FROM generate_series(1, %(rows)s) n"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('characters_referenceimage', 'characters_imagetag')
AND indexname NOT IN (SELECT conname FROM pg_constraint)"""
TAG_ROWS = "INSERT INTO characters_tag (name) SELECT unnest(%(tags)s::text[])"
WORN = """
INSERT INTO characters_imagetag (image_id, tag_id)
SELECT i.id, t.id FROM characters_referenceimage i
CROSS JOIN LATERAL unnest(string_to_array(i.tag_text, ', ')) AS word JOIN characters_tag t ON t.name = word
UNION ALL
SELECT i.id, t.id FROM characters_referenceimage i, characters_tag t WHERE t.name = 'rare' AND i.id %% 9973 = 0"""


@dataclass(frozen=True)
class Figure:
    """Milliseconds of one question or change: by the clock, and on the processors of our process and the database's
    session together, which a busy machine changes little. `busy` is None where the database runs elsewhere."""

    rows: int
    what: str
    median: float
    p95: float
    busy: float | None = None
    queries: int | None = None


def fill(rows: int) -> float:
    """Makes that many photos with their characters and tags; the seconds it took."""
    values: dict[str, Any] = {
        "rows": rows,
        "characters": max(rows // PER_CHARACTER, 1),
        "tags": list(TAGS),
        "words": list(CAPTION_WORDS),
    }
    began = time.perf_counter()
    with connection.cursor() as cursor, _without_indexes():
        for statement in (CHARACTERS, IMAGES, TAG_ROWS, WORN):
            cursor.execute(statement, values)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return time.perf_counter() - began


@contextmanager
def _without_indexes() -> Iterator[None]:
    """Built once at the end, indexes take a tenth of the time that a million insertions into them take."""
    with connection.cursor() as cursor:
        cursor.execute(INDEXES)
        found = cursor.fetchall()
        for name, _ in found:
            cursor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")
        yield
        cursor.execute("SET maintenance_work_mem = '256MB'")
        for _, definition in found:
            cursor.execute(definition)


def pages(rows: int) -> list[Figure]:
    """The dataset page and the API in every order, deep inside and at the end, searched and filtered."""
    photo, middle = _middle()
    asked = {
        "page, first": "/dataset",
        "page, next block from the middle": f"/dataset/block?cursor={middle}",
        "page of one photo from the middle": f"/photos/{photo}",
        "counts beside the grid": "/dataset/counts",
        "API, first 60": "/api/images",
        "API, 60 from the middle": f"/api/images?cursor={middle}",
        "API, last 60": "/api/images?cursor=last",
        **{f"API, last 60 by {sort}": f"/api/images?cursor=last&sort={sort}" for sort in ("name", "largest")},
        "API, last 60 by caption length": "/api/images?cursor=last&sort=shortest-caption",
        "API, of one character": "/api/images?character=char-00000001",
        "API, blocked (1 in 1,000)": "/api/images?verdict=blocked",
        "API, blocked of one character by name": "/api/images?verdict=blocked&character=char-00000001&sort=name",
        "API, with a common tag": "/api/images?tag=smile",
        "API, with a rare tag": "/api/images?tag=rare",
        "search, a word in one of ten": "/api/images?q=garden",
        "search, a word in one of 5,000": "/api/images?q=number77",
        "search, one file name": "/api/images?q=img_777",
        "search, a character and a word": "/api/images?q=person+garden",
        "search, nothing": "/api/images?q=nowhere",
        "search, common words by name, last 60": "/api/images?q=photo+person&sort=name&cursor=last",
    }
    return [
        asked_for(rows, what, address, "HX-Request" if "/dataset/" in address else "")
        for what, address in asked.items()
    ]


def _middle() -> tuple[str, str]:
    """A photo in the middle of all of them, and the cursor of the page after it."""
    middle = ReferenceImage.objects.order_by("id")[ReferenceImage.objects.count() // 2 :][:1].get()
    return middle.public_id, query.cursor_at("after", middle, None)


def asked_for(rows: int, what: str, address: str, header: str) -> Figure:
    client = Client(headers={header: "true"} if header else {})
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    assert answer.status_code == 200, (address, answer.content[:500])
    return timed(rows, what, lambda: client.get(address), REQUESTS, len(captured))


def timed(rows: int, what: str, call: Callable[[], Any], times: int, queries: int | None = None) -> Figure:
    taken, before = [], _processor_seconds()
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    after = _processor_seconds()
    busy = (after - before) * 1000 / times if before is not None and after is not None else None
    p95 = sorted(taken)[min(round(0.95 * times), times - 1)]
    return Figure(rows, what, statistics.median(taken), p95, busy, queries)


def _processor_seconds() -> float | None:
    """Used so far by this process and by its database session, if that is a process of this machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = Path(f"/proc/{cursor.fetchone()[0]}")
    try:
        if "postgres" not in (session / "cmdline").read_text():
            return None
        return time.process_time() + int((session / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return None


def counts(rows: int) -> list[Figure]:
    """What is counted beside the grid."""
    asked = {
        "count of a filter, up to 10,000": query.Filter(verdict="ready"),
        "… of a search": query.Filter(q="garden"),
    }
    return [
        timed(rows, "totals of every split, verdict and character", totals.totals, 5),
        *(timed(rows, what, partial(totals.count, chosen), 10) for what, chosen in asked.items()),
        timed(rows, "tags with how often they are worn", tags.frequencies, 5),
    ]


def changes(rows: int) -> list[Figure]:
    """Bulk changes of 1,000 photos, or all where there are fewer."""
    chosen = {"all": "1", "character": "char-00000001"}
    undo: list[str] = []

    def bin_them() -> None:
        undo.append(services.bin_images(selection.chosen(chosen)).undo)

    steps: list[tuple[str, Callable[[], Any]]] = [
        ("1,000 photos into the bin", bin_them),
        ("… and back", lambda: services.restore_images(undo[-1])),
        ("1,000 photos tagged", lambda: services.tag_images(selection.chosen(chosen), ["fresh"])),
        ("… and untagged", lambda: services.untag_images(selection.chosen(chosen), ["fresh"])),
        ("1,000 photos for reference", lambda: services.set_split(selection.chosen(chosen), "reference")),
    ]
    return [timed(rows, what, step, 1) for what, step in steps]


def measure(rows: int) -> list[Figure]:
    seconds = fill(rows)
    filled = Figure(rows, "filling the database", seconds * 1000, seconds * 1000)
    return [filled, *pages(rows), *counts(rows), *changes(rows)]


def table(figures: list[Figure], noun: str = "photos") -> str:
    """Rows of the same question side by side, as docs/benchmarks.md shows them."""
    sizes = sorted({figure.rows for figure in figures})
    head = ["what", *(f"{size:,} {noun}" for size in sizes), "queries"]
    lines = [head, ["---"] * len(head)]
    for what in dict.fromkeys(figure.what for figure in figures):
        found = {figure.rows: figure for figure in figures if figure.what == what}
        asked = [figure.queries for figure in found.values() if figure.queries is not None]
        cells = [_cell(found[size]) if size in found else "" for size in sizes]
        lines.append([what, *cells, " to ".join(map(str, sorted({min(asked), max(asked)}))) if asked else ""])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(figure: Figure) -> str:
    """Median, 95th percentile and processor time; of what was done once, the first and the last."""
    times = [figure.median] if figure.p95 == figure.median else [figure.median, figure.p95]
    text = " / ".join(f"{value:.1f}" if value < 1000 else f"{value:,.0f}" for value in times)
    return f"{text} ({figure.busy:.1f})" if figure.busy is not None else text


def as_json(figures: list[Figure]) -> str:
    return json.dumps([asdict(figure) for figure in figures], indent=1)
