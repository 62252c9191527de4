"""Websockets of one job and of all jobs: a snapshot on opening, what was missed since `after`, then live.

The group is joined first and the database read afterwards, so nothing falls between; every push is a hint that is
checked against `seq`. Knows no product."""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError

from isengard.jobs import events, services
from isengard.jobs.models import Job

Message = dict[str, Any]

MOST_REPLAYED = 500
LONGEST_MESSAGE = 16 * 1024
MOST_MESSAGES_A_SECOND = 10
# A push lost by Redis is noticed after this long at the latest.
CATCH_UP_SECONDS = 15.0
NOT_FOUND, TOO_BIG, TOO_MANY, NOT_JSON = 4404, 1009, 4429, 4400


class JobSocket(AsyncWebsocketConsumer, ABC):
    """What both sockets share: limits on what a client may send, and a regular look at the database."""

    async def connect(self) -> None:
        self._turn = asyncio.Lock()
        self._second, self._received = 0.0, 0
        self._regular: asyncio.Task[None] | None = None
        await self.channel_layer.group_add(self.group(), self.channel_name)
        await self.accept()
        if await self.open():
            self._regular = asyncio.ensure_future(self._look_regularly())

    async def disconnect(self, code: int) -> None:
        if self._regular is not None:
            self._regular.cancel()
        await self.channel_layer.group_discard(self.group(), self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if len(text_data or bytes_data or "") > LONGEST_MESSAGE:
            await self.close(TOO_BIG)
        elif self._too_many():
            await self.close(TOO_MANY)
        else:
            await self._read(text_data)

    async def _read(self, text: str | None) -> None:
        after = _after(text)
        if after is None:
            await self.close(NOT_JSON)
            return
        async with self._turn:
            await self.replay(after)

    def _too_many(self) -> bool:
        now = time.monotonic()
        if now - self._second > 1:
            self._second, self._received = now, 0
        self._received += 1
        return self._received > MOST_MESSAGES_A_SECOND

    async def _look_regularly(self) -> None:
        while True:
            await asyncio.sleep(CATCH_UP_SECONDS)
            # A database that is away for a moment must not end the looking for good.
            with suppress(DatabaseError):
                async with self._turn:
                    await self.catch_up()

    async def say(self, message: Message) -> None:
        # A socket that closes while we speak is not an error.
        with suppress(RuntimeError):
            await self.send(text_data=json.dumps(message))

    async def job_message(self, event: Message) -> None:
        """A push from the channel layer."""
        async with self._turn:
            await self.push(event["message"])

    @abstractmethod
    def group(self) -> str:
        """The channel group to hear."""

    @abstractmethod
    async def open(self) -> bool:
        """Whether there is something to watch; called before the socket is accepted."""

    @abstractmethod
    async def replay(self, after: int) -> None:
        """What the client missed since `after`, and where things stand."""

    @abstractmethod
    async def catch_up(self) -> None:
        """A regular look at the database: pushes are only hints."""

    @abstractmethod
    async def push(self, message: Message) -> None:
        """One message of the group, on its way to the client."""


class OneJob(JobSocket):
    """`/ws/jobs/<id>/`. The client sends {"after": seq} with the last event it has (0: all of them)."""

    def group(self) -> str:
        return events.group_of(self._id)

    @property
    def _id(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["job_id"])

    async def open(self) -> bool:
        # Before the client says where it stands, nothing is replayed and every live event is let through.
        self._last: int | None = None
        state = await _snapshot(self._id)
        if state is None:
            await self.close(NOT_FOUND)
            return False
        await self.say(state)
        return True

    async def replay(self, after: int) -> None:
        """Events after `after`, then the state; with too many missed, only the state."""
        found = await _since(self._id, after)
        if found is None:
            await self.close(NOT_FOUND)
            return
        state, missed = found
        for message in missed:
            await self.say(message)
        await self.say(state)
        self._last = state["seq"]

    async def catch_up(self) -> None:
        if self._last is None:
            state = await _snapshot(self._id)
            await (self.say(state) if state else self.close(NOT_FOUND))
        else:
            await self.replay(self._last)

    async def push(self, message: Message) -> None:
        seq = message.get("seq", 0)
        if self._last is not None:
            is_event = message["type"] == "event"
            if is_event and seq <= self._last:
                return
            if seq > self._last + is_event:
                # Something between was lost on the way: the database has it.
                await self.replay(self._last)
                return
            self._last = max(self._last, seq)
        await self.say(message)


class Nowhere(AsyncWebsocketConsumer):
    """Any other address: refused without the traceback that a missing route would leave in the log."""

    async def connect(self) -> None:
        await self.close()


class AllJobs(JobSocket):
    """`/ws/jobs/`: the queue and the top bar. Only states travel here; pages ask again for anything richer."""

    def group(self) -> str:
        return events.ALL_JOBS

    async def open(self) -> bool:
        await self.catch_up()
        return True

    async def replay(self, after: int) -> None:
        await self.catch_up()

    async def catch_up(self) -> None:
        await self.say(await _all_jobs())

    async def push(self, message: Message) -> None:
        await self.say(message)


def _after(text: str | None) -> int | None:
    """The number in {"after": 12}; None for anything else."""
    try:
        after = json.loads(text or "")["after"]
    except (ValueError, KeyError, TypeError):
        return None
    return after if type(after) is int and 0 <= after < 2**31 else None


def _in_thread(function: Any) -> Any:
    """Not thread sensitive: a thousand sockets that open at once must not queue behind one thread."""
    return database_sync_to_async(function, thread_sensitive=False)


@_in_thread
def _snapshot(public_id: str) -> Message | None:
    job = Job.objects.filter(public_id=public_id).first()
    return events.snapshot(job) if job else None


@_in_thread
def _since(public_id: str, after: int) -> tuple[Message, list[Message]] | None:
    return events.since(public_id, after, MOST_REPLAYED)


@_in_thread
def _all_jobs() -> Message:
    jobs = [events.snapshot(job) for job in Job.objects.active().in_claim_order()[:200]]
    return {"type": "jobs", "jobs": jobs, "status": services.status_summary()}
