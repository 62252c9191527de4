"""The studio as a user starts it, in its own database and volume, and a headless Chromium to use it with."""

import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

from isengard.studio.process import die_with_parent
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
# Alone it takes ten seconds; beside other work on two cores it has taken a hundred.
START_SECONDS = 240
STOP_SECONDS = 240
# Two cores shared with others draw slowly; a quiet machine needs a twentieth of this.
TRAINING_SECONDS = 600
# How long an answer of the studio is waited for, in milliseconds. It is no pause: a quick machine loses nothing by it.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
# How Chromium names the end of a request whose page is gone, and of a socket whose job ended before it was open.
LEFT = "net::ERR_ABORTED"
UNUSED = "closed before the connection is established"
QUESTIONS = count()
# Each process of a test run has two databases of Redis for its studios' queues; the first of all is the unit tests'.
REDIS = 1 + 2 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
ENDED = ("htmx:afterRequest", "htmx:sendError", "htmx:sendAbort")


@contextmanager
def fresh_database() -> Iterator[str]:
    """The address of an empty database beside the unit tests' one; dropped afterwards."""
    url = os.environ["DATABASE_URL"]
    name = f"isengard_browser_{secrets.token_hex(3)}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class Home:
    """What a studio leaves when it stops, and begins with when it starts again."""

    volume: Path
    database: str
    redis: int

    def environment(self) -> dict[str, str]:
        redis_url = os.environ["REDIS_URL"].partition("?")[0] + f"?db={self.redis}"
        own = {"DATABASE_URL": self.database, "REDIS_URL": redis_url, "VOLUME_ROOT": str(self.volume)}
        ours = ("DJANGO_SETTINGS_MODULE", "ISENGARD_TEST_ROOT", "PYTEST_XDIST_WORKER")
        return {name: value for name, value in os.environ.items() if name not in ours} | own


@dataclass(frozen=True)
class Studio:
    """A studio that runs."""

    address: str
    pid: int


@contextmanager
def running(home: Home) -> Iterator[Studio]:
    """Web, workers, beat, sample character, real engine, until they are told to stop as a user stops them."""
    port = free_port()
    with (home.volume / "studio.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "studio", "--port", str(port)],
            cwd=ROOT,
            env=home.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process, home.volume / "studio.log")
        yield Studio(address, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the studio that most tests share."""
    with fresh_database() as database, running(Home(tmp_path_factory.mktemp("volume"), database, REDIS)) as studio:
        yield studio.address


def _wait(address: str, studio: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and studio.poll() is None:
        if "Isengard is ready" in log.read_text(errors="replace"):
            urllib.request.urlopen(f"{address}/health", timeout=10).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"The studio did not start:\n{log.read_text(errors='replace')[-4000:]}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("No Chromium on this machine: apt-get install chromium (make test does it where it may).")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def ask(live: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON that the studio's API answers; a POST when there is a body. HTTPError: it refuses.

    Each question comes from a loopback address of its own: the studio's courtesy counts by address, and a whole test
    run is no single impatient visitor."""
    number = next(QUESTIONS)
    source = f"127.1.{number // 250}.{number % 250 + 1}"
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(_From(source))
    wanted = urllib.request.Request(live + path, data, {"Content-Type": "application/json"})
    with opener.open(wanted, timeout=60) as answer:
        return json.load(answer)


class _From(urllib.request.HTTPHandler):
    """Sends from an address of this machine's own choice."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._connection = partial(http.client.HTTPConnection, source_address=(source, 0))

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)


def sample_character(live: str) -> str:
    """Her id."""
    return next(str(character["id"]) for character in ask(live, "/api/characters") if character["name"] == "Mira")


def start_training(live: str, steps: int, **more: Any) -> str:
    """A training of the sample character over the API, with more settings if need be; its id."""
    config = {"steps": steps, "sample_every_n_steps": 50, "sample_count": 1, "class_images": 0}
    body = {"character_id": sample_character(live), "config": {**config, **more}}
    return str(ask(live, "/api/training", body)["id"])


def completed(live: str, job: str, seconds: float = TRAINING_SECONDS) -> str:
    """The job's id, once it has. AssertionError: it ended otherwise, or takes longer than that."""
    deadline = time.monotonic() + seconds
    while (state := ask(live, f"/api/jobs/{job}")["status"]) != "completed":
        assert state in {"queued", "running"} and time.monotonic() < deadline, state
        time.sleep(0.5)
    return job


def follow(page: Page, way: Locator) -> None:
    """Clicks what leads to another page, and returns when that page's scripts answer clicks and keys."""
    with page.expect_event("load"):
        way.click()


def stroke(page: Page, canvas: Locator) -> None:
    """Draws a short line. Hovering waits until the canvas lies still, which what loads above it may move."""
    canvas.hover(position={"x": 40, "y": 40})
    page.mouse.down()
    for x, y in ((60, 45), (90, 60)):
        canvas.hover(position={"x": x, "y": y})
    page.mouse.up()


@pytest.fixture(scope="session")
def trained(live: str) -> str:
    """A LoRA that a training of the sample character ended with, from whichever test trained first; its id."""
    if not _trained_here(live):
        completed(live, start_training(live, 100, batch_size=1))
    return _trained_here(live)[0]


def _trained_here(live: str) -> list[str]:
    """Uploaded versions, and those of other characters, have no training to look at."""
    rows, mira = ask(live, "/api/loras")["loras"], sample_character(live)
    return [row["id"] for row in rows if row["origin"] == "trained" and row["character_id"] == mira]


@pytest.fixture
def photo(live: str) -> str:
    """The sample character's newest photo to train on; its id."""
    found = ask(live, f"/api/images?character={sample_character(live)}&split=train&limit=1")
    return str(found["images"][0]["id"])


@contextmanager
def visiting(chromium: Browser, live: str, **options: Any) -> Iterator[BrowserContext]:
    """A browser of its own without cookies and drafts, at 1440 px."""
    context = chromium.new_context(base_url=live, viewport={"width": 1440, "height": 900}, **options)
    context.set_default_timeout(PATIENCE)
    try:
        yield context
    finally:
        context.close()


@pytest.fixture
def rough(chromium: Browser, live: str) -> Iterator[Page]:
    """A page whose failing or refused requests are the point of the test."""
    with visiting(chromium, live) as context:
        yield context.new_page()


@pytest.fixture
def page(chromium: Browser, live: str) -> Iterator[Page]:
    """A page at 1440 px that fails its test on script errors and on requests that leave the studio."""
    problems: list[str] = []
    with visiting(chromium, live) as context:
        yield _watched(context.new_page(), live, problems)
    assert problems == []


def _watched(page: Page, live: str, problems: list[str]) -> Page:
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if _serious(message) else None)
    page.on("requestfailed", lambda request: None if request.failure == LEFT else problems.append(str(request.failure)))
    page.on(
        "request",
        lambda request: None if _ours(request.url, live) else problems.append(f"left the studio: {request.url}"),
    )
    return page


def _serious(message: ConsoleMessage) -> bool:
    """htmx also complains of requests that it took back or left with the page; failed ones are noted for themselves."""
    return message.type == "error" and not message.text.startswith(ENDED) and UNUSED not in message.text


def _ours(url: str, live: str) -> bool:
    return url.startswith((live, live.replace("http", "ws"), "data:", "blob:"))
