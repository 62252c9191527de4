"""Measures what the studio adds to a picture: from the click to the worker's first word and to the stored row.

Everything is real: a request to the page, Postgres, Redis, a Celery worker as the launcher starts it, the engine with
Pocket. Only the network and the browser's own work are left out. In a database and folders of its own."""

import json
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.test import Client

from generation.models import Generation, Output
from isengard.studio import children

STEPS, SIDE = 4, 64
WARM_UP = 3
PATIENCE = 120.0


@dataclass(frozen=True)
class Round:
    """Milliseconds since the click: the answer, the first push that it runs, the push with the picture. `engine`: what
    the engine took from its first step to the stored file."""

    answered: float
    running: float
    stored: float
    engine: float

    @property
    def overhead(self) -> float:
        return self.stored - self.engine


def measure(rounds: int) -> list[Round]:
    """So many warm requests for one picture, after some that warm everything up."""
    browser = Client(headers={"HX-Request": "true"})
    with listening() as heard:
        return [one_round(browser, heard, seed) for seed in range(rounds + WARM_UP)][WARM_UP:]


def one_round(browser: Client, heard: Any, seed: int) -> Round:
    """`browser`: the same each time, because a server loads its middleware once. RuntimeError: no picture came."""
    form = {"base": "pocket", "prompt": "a portrait of a woman", "shape": "custom", "width": SIDE, "height": SIDE}
    began = time.perf_counter()
    answer = browser.post("/generate", {**form, "steps": STEPS, "seed": seed, "count": 1})
    answered = _since(began)
    if answer.status_code != 204:
        raise RuntimeError(f"the page answered {answer.status_code}")
    public_id = Generation.objects.select_related("job").latest("pk").job.public_id
    running = stored = None
    while stored is None:
        at, message = _next(heard, began)
        if message["job"] == public_id and message["type"] == "snapshot" and message["state"] == "running":
            running = running or at
        if message["job"] == public_id and message.get("kind") == "output":
            stored = at
    engine = Output.objects.get(generation__job__public_id=public_id).seconds * 1000
    _ended(heard, began, public_id)
    return Round(answered, running or stored, stored, engine)


def _ended(heard: Any, began: float, public_id: str) -> None:
    """Waits for the job's last push: the next click finds an idle worker."""
    while True:
        _, message = _next(heard, began)
        if message["job"] == public_id and message.get("state") in ("completed", "failed", "cancelled"):
            if message["state"] != "completed":
                raise RuntimeError(f"the job {message['state']}: {message['error']}")
            return


def _next(heard: Any, began: float) -> tuple[float, dict[str, Any]]:
    found = heard.get_message(timeout=PATIENCE)
    if found is None:
        raise RuntimeError("the worker said nothing")
    return _since(began), get_channel_layer().deserialize(found["data"])["message"]


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


@contextmanager
def listening() -> Iterator[Any]:
    """Hears what every job's open page would be pushed."""
    config: Any = settings.CHANNEL_LAYERS["default"]["CONFIG"]
    with redis.Redis.from_url(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True) as heard:
        heard.psubscribe(f"{config['prefix']}__group__job.*")
        heard.get_message(timeout=1)
        yield heard


@contextmanager
def worker(folder: Path) -> Iterator[None]:
    """The GPU lane's worker, as the launcher starts it, on this process's database."""
    spec = children.worker("gpu0")
    url = urlsplit(os.environ["DATABASE_URL"])
    own = {"DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}"))}
    place = {"VOLUME_ROOT": str(folder), "STATE_DIR": str(folder / "state")}
    environment = {**os.environ, **spec.environment, **own, **place}
    process = subprocess.Popen(spec.command, env=environment, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(spec.grace)


def table(rounds: list[Round], load: float) -> str:
    """Medians and 95th percentiles, with the targets that they are set against."""
    parts = {
        "answer to the click": [one.answered for one in rounds],
        "click to the first push that it runs": [one.running for one in rounds],
        "click to the stored picture": [one.stored for one in rounds],
        "of that, the engine's own drawing and storing": [one.engine for one in rounds],
        "job overhead (the two last ones' difference)": [one.overhead for one in rounds],
    }
    lines = [f"| {name} | {statistics.median(found):.0f} | {_p95(found):.0f} |" for name, found in parts.items()]
    head = f"{len(rounds)} pictures, {SIDE} × {SIDE}, {STEPS} steps; load {load:.1f} on {os.cpu_count()} cores."
    return "\n".join([head, "", "| milliseconds | median | p95 |", "|---|---|---|", *lines])


def _p95(values: list[float]) -> float:
    return sorted(values)[min(int(len(values) * 0.95), len(values) - 1)]


def as_json(rounds: list[Round]) -> str:
    return json.dumps([{**one.__dict__, "overhead": one.overhead} for one in rounds], indent=2) + "\n"
