"""Measures the gallery's pages and bulk changes on as many rows as asked for, in a database of its own.

The pictures have no files: what is measured is the server's own work from request to answer, without network and
browser."""

import time
from collections.abc import Callable
from typing import Any

from django.db import connection

from characters.browse.bench import Figure, asked_for, timed
from characters.models import Character
from generation.gallery import binning, cleaning, query, selection, services
from generation.models import Board, Generation, Output
from isengard.jobs.models import Job

PER_REQUEST, PEOPLE, BATCH = 4, 20, 5000
PLACES = ("garden", "street", "studio", "beach", "forest")


def fill(rows: int) -> float:
    """Makes that many pictures, four of a request, with one in ten a favourite and one in five rated; the seconds."""
    began = time.perf_counter()
    people = Character.objects.bulk_create(
        [Character(name=f"Person {number}", trigger_word=f"ohwx{number}") for number in range(PEOPLE)]
    )
    for start in range(0, max(rows // PER_REQUEST, 1), BATCH):
        numbers = range(start, min(start + BATCH, max(rows // PER_REQUEST, 1)))
        jobs = Job.objects.bulk_create([_job(number) for number in numbers])
        asked = [_request(number, job, people) for number, job in zip(numbers, jobs, strict=True)]
        Output.objects.bulk_create(_pictures(Generation.objects.bulk_create(asked)), batch_size=BATCH)
    board = Board.objects.create(name="Board")
    board.outputs.add(*Output.objects.order_by("pk")[::100])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return time.perf_counter() - began


def _job(number: int) -> Job:
    return Job(public_id=f"gen-{number:012x}", kind="generation", state=Job.State.COMPLETED, label=f"request {number}")


def _request(number: int, job: Job, people: list[Character]) -> Generation:
    return Generation(
        job=job,
        character=people[number % PEOPLE],
        base="pocket",
        prompt=f"a portrait in a {PLACES[number % 5]}, number{number}",
        params={"seed": number, "width": 96, "height": 96, "steps": 20, "lora_strength": 1.0},
        count=PER_REQUEST,
        tool="upscale" if number % 50 == 0 else "draw",
    )


def _pictures(asked: list[Generation]) -> list[Output]:
    return [
        Output(
            generation=generation,
            index=index,
            file=f"outputs/bench/{generation.job_id}-{index}.png",
            seed=index,
            width=96,
            height=96,
            size_bytes=20_000,
            seconds=0.5,
            favourite=(generation.job_id + index) % 10 == 0,
            rating=(generation.job_id + index) % 5 if generation.job_id % 5 == 0 else 0,
        )
        for generation in asked
        for index in range(PER_REQUEST)
    ]


def pages(rows: int) -> list[Figure]:
    """Page and API in every order, deep inside and at the end, searched and filtered."""
    middle = Output.objects.order_by("pk")[rows // 2 :][:1].get()
    at, rated = query.cursor_at("after", middle, False), query.cursor_at("after", middle, True)
    person, board = Character.objects.order_by("pk")[0].public_id, Board.objects.get().pk
    asked = {
        "page, first": "/pictures",
        "page, next block from the middle": f"/pictures/block?cursor={at}",
        "panel of one picture": f"/pictures/gen-{rows // 8:012x}/0",
        "counts beside the grid": "/pictures/counts",
        "API, first 60": "/api/outputs",
        "API, 60 from the middle": f"/api/outputs?cursor={at}",
        "API, last 60": "/api/outputs?cursor=last",
        "API, best first, 60 from the middle": f"/api/outputs?sort=best&cursor={rated}",
        "API, last 60 by rating": "/api/outputs?sort=best&cursor=last",
        "API, favourites": "/api/outputs?favourite=1",
        "API, five stars or none": "/api/outputs?rating=5",
        "API, of one character, last": f"/api/outputs?character={person}&cursor=last",
        "API, upscaled (1 in 50)": "/api/outputs?kind=upscale",
        "API, of a board (1 in 100)": f"/api/outputs?board={board}",
        "search, a word in one of five": "/api/outputs?q=garden",
        "search, one request": f"/api/outputs?q=number{rows // 8}",
        "search, nothing": "/api/outputs?q=nowhere",
    }
    return [
        asked_for(rows, what, address, "HX-Request" if "/pictures/" in address else "")
        for what, address in asked.items()
    ]


def changes(rows: int) -> list[Figure]:
    """Bulk changes of one character's pictures, a twentieth of all."""
    chosen: dict[str, Any] = {"all": "1", "character": Character.objects.order_by("pk")[0].public_id}
    undo: list[str] = []

    def bin_them() -> None:
        undo.append(binning.bin_outputs(selection.chosen(chosen)).undo)

    steps: list[tuple[str, Callable[[], Any]]] = [
        ("a twentieth rated", lambda: services.set_rating(selection.chosen(chosen), 3)),
        ("a twentieth into the bin", bin_them),
        ("… and back", lambda: binning.restore_outputs(undo[-1])),
        ("what pictures take, by character", cleaning.use),
    ]
    return [timed(rows, what, step, 1) for what, step in steps]


def measure(rows: int) -> list[Figure]:
    seconds = fill(rows)
    filled = Figure(rows, "filling the database", seconds * 1000, seconds * 1000)
    return [filled, *pages(rows), *changes(rows)]
