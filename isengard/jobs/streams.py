"""Server-sent events of a job for API clients: the state now, then every change, until it ends.

`shape` turns a job into the payload, so that other apps stream their own fields over the same wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.http import StreamingHttpResponse

from isengard.jobs import events
from isengard.jobs.models import TERMINAL, Job

Message = dict[str, Any]
# The payload of a job as it is now; the message is what woke us (an event with its payload, or a snapshot), if any did.
Shape = Callable[[Job, Message | None], Message]

KEEPALIVE_SECONDS = 30.0


def respond(job: Job, shape: Shape) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_stream(job.pk, job.public_id, shape), content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _stream(pk: int, public_id: str, shape: Shape) -> AsyncIterator[bytes]:
    """Joins the group before the first look, so that nothing falls between."""
    layer, group = get_channel_layer(), events.group_of(public_id)
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    # Not wait_for: cancelling `receive` would take the channel down with it.
    waiting = asyncio.ensure_future(layer.receive(channel))
    message: Message | None = None
    try:
        while True:
            found = await _look(pk, shape, message)
            if found is None:
                return
            seq, ended, payload = found
            yield _frame("complete" if ended else "progress", payload, seq)
            if ended:
                return
            while not (await asyncio.wait({waiting}, timeout=KEEPALIVE_SECONDS))[0]:
                yield _frame("keepalive", {"job_id": public_id}, seq)
            message = waiting.result()["message"]
            waiting = asyncio.ensure_future(layer.receive(channel))
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await layer.group_discard(group, channel)


def _frame(event: str, payload: Message, seq: int) -> bytes:
    return f"id: {seq}\nevent: {event}\ndata: {json.dumps(payload, default=str)}\n\n".encode()


async def _look(pk: int, shape: Shape, message: Message | None) -> tuple[int, bool, Message] | None:
    """The database, not the message, says how things are: a lost or late push changes nothing. None: it was deleted."""

    def read() -> tuple[int, bool, Message] | None:
        job = Job.objects.filter(pk=pk).first()
        return (job.last_seq, job.state in TERMINAL, shape(job, message)) if job else None

    found: tuple[int, bool, Message] | None = await database_sync_to_async(read, thread_sensitive=False)()
    return found
