"""The websockets and the event stream, with the real channel layer on the real Redis."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.db import OperationalError, connection
from pytest_django import Settings

from isengard.jobs import consumers, events, serializers, streams, transitions
from isengard.jobs.models import Job
from isengard.jobs.routing import websocket_urlpatterns
from tests.jobs import scripted

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]
Message = dict[str, Any]
PATIENCE = 30
Result = TypeVar("Result")


@asynccontextmanager
async def socket(path: str) -> AsyncIterator[WebsocketCommunicator]:
    communicator = WebsocketCommunicator(URLRouter(websocket_urlpatterns), path)
    connected, _ = await communicator.connect(timeout=PATIENCE)
    assert connected
    try:
        yield communicator
    finally:
        await communicator.disconnect(timeout=PATIENCE)


async def heard(communicator: WebsocketCommunicator, count: int = 1) -> list[Message]:
    return [json.loads(await communicator.receive_from(timeout=PATIENCE)) for _ in range(count)]


def run(scenario: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(scenario)
    finally:
        # The loop's threads are gone, but not their database connections, which sit in reference cycles.
        gc.collect()


def threaded(act: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    def call(*arguments: Any) -> Any:
        try:
            return act(*arguments)
        finally:
            connection.close()

    return sync_to_async(call, thread_sensitive=False)


claim = threaded(lambda: transitions.claim("gpu", "w/0"))
append = threaded(events.append)


def test_a_socket_begins_with_the_state() -> None:
    job = scripted.submit()

    async def scenario() -> Message:
        async with socket(f"/ws/jobs/{job.public_id}/") as page:
            return (await heard(page))[0]

    said = run(scenario())
    assert (said["type"], said["state"], said["seq"]) == ("snapshot", "queued", 1)


def test_a_socket_replays_what_was_missed_and_only_that() -> None:
    job = scripted.submit()
    for number in range(5):
        events.append(job, "log", {"number": number})

    async def scenario() -> list[Message]:
        async with socket(f"/ws/jobs/{job.public_id}/") as page:
            await heard(page)
            await page.send_to(text_data='{"after": 3}')
            return await heard(page, 4)

    said = run(scenario())
    assert [(message["type"], message["seq"]) for message in said] == [
        ("event", 4), ("event", 5), ("event", 6), ("snapshot", 6),
    ]  # fmt: skip


def test_too_many_missed_events_become_one_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "MOST_REPLAYED", 3)
    job = scripted.submit()
    for number in range(5):
        events.append(job, "log", {"number": number})

    async def scenario() -> Message:
        async with socket(f"/ws/jobs/{job.public_id}/") as page:
            await heard(page)
            await page.send_to(text_data='{"after": 0}')
            return (await heard(page))[0]

    assert run(scenario())["type"] == "snapshot"


def test_a_change_arrives_while_the_socket_is_open() -> None:
    job = scripted.submit()

    async def scenario() -> Message:
        async with socket(f"/ws/jobs/{job.public_id}/") as page:
            await heard(page)
            await claim()
            return (await heard(page))[0]

    said = run(scenario())
    assert (said["kind"], said["payload"]["state"]) == ("state", "running")


def test_a_push_that_redis_lost_is_made_good_by_the_next() -> None:
    job = scripted.submit()

    async def scenario() -> list[Message]:
        async with socket(f"/ws/jobs/{job.public_id}/") as page:
            await heard(page)
            await page.send_to(text_data='{"after": 1}')
            await heard(page)
            await threaded(silently)(job)
            await append(job, "log", {"number": 2})
            return await heard(page, 3)

    said = run(scenario())
    assert [message["seq"] for message in said] == [2, 3, 3]


def silently(job: Job) -> None:
    """An event whose push is lost."""
    publish, events.publish = events.publish, lambda messages: None
    try:
        events.append(job, "log", {"number": 1})
    finally:
        events.publish = publish


def test_an_unknown_job_closes_the_socket() -> None:
    async def scenario() -> Message:
        async with socket("/ws/jobs/train-000000000000/") as page:
            closed: Message = await page.receive_output(timeout=PATIENCE)
            return closed

    assert run(scenario())["code"] == consumers.NOT_FOUND


def test_an_address_that_is_none_is_refused() -> None:
    async def scenario() -> bool:
        communicator = WebsocketCommunicator(URLRouter(websocket_urlpatterns), "/ws/secrets/")
        connected, _ = await communicator.connect(timeout=PATIENCE)
        return bool(connected)

    assert not run(scenario())


@pytest.mark.parametrize("sent", ["nonsense", '{"after": "1"}', '{"after": -1}', '{"after": true}', "[]", "x" * 20000])
def test_what_is_not_a_position_closes_the_socket(sent: str) -> None:
    job = scripted.submit()

    async def scenario() -> Message:
        async with socket(f"/ws/jobs/{job.public_id}/") as page:
            await heard(page)
            await page.send_to(text_data=sent)
            closed: Message = await page.receive_output(timeout=PATIENCE)
            return closed

    assert run(scenario())["type"] == "websocket.close"


def test_the_socket_of_all_jobs_tells_the_queue_and_then_each_change() -> None:
    job = scripted.submit()

    async def scenario() -> list[Message]:
        async with socket("/ws/jobs/") as page:
            first = await heard(page)
            await claim()
            return first + await heard(page)

    first, second = run(scenario())
    assert ([one["job"] for one in first["jobs"]], first["status"]["queued"]) == ([job.public_id], 1)
    assert (second["job"], second["state"]) == (job.public_id, "running")


def test_a_redis_that_is_away_never_fails_a_job(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    publisher = events.Publisher()
    monkeypatch.setattr(events, "_publisher", lambda process: publisher)
    scripted.submit()
    assert publisher.lost > 0


def test_the_event_stream_tells_progress_and_ends_with_complete() -> None:
    job = scripted.submit()

    async def scenario() -> list[str]:
        stream = aiter(streams.respond(job, serializers.progress_of))
        frames = [await anext(stream)]
        running = await claim()
        frames.append(await anext(stream))
        await threaded(transitions.complete)(running, {})
        return [frame.decode() for frame in frames] + [frame.decode() async for frame in stream]

    names = [frame.split("event: ")[1].split("\n")[0] for frame in run(scenario())]
    assert (names[0], names[-1], set(names[:-1])) == ("progress", "complete", {"progress"})


def test_the_event_stream_keeps_a_silent_connection_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEPALIVE_SECONDS", 0.1)
    job = scripted.submit()

    async def scenario() -> bytes:
        stream = aiter(streams.respond(job, serializers.progress_of))
        await anext(stream)
        frame: bytes = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return frame

    assert b"event: keepalive" in run(scenario())


def test_a_socket_looks_again_after_the_database_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    job = scripted.submit()
    look, looks = consumers.OneJob.catch_up, iter([OperationalError("away")])

    async def catch_up(socket: consumers.OneJob) -> None:
        for error in looks:
            raise error
        await look(socket)

    monkeypatch.setattr(consumers, "CATCH_UP_SECONDS", 0.1)
    monkeypatch.setattr(consumers.OneJob, "catch_up", catch_up)

    async def scenario() -> list[Message]:
        async with socket(f"/ws/jobs/{job.public_id}/") as page:
            return await heard(page, 2)

    assert [said["type"] for said in run(scenario())] == ["snapshot", "snapshot"]
