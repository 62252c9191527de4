"""The durable events of a job and the nudges about them. A nudge is a hint: whoever misses one catches up by `seq`.

Publishing goes straight to Redis in the channel layer's own format: a synchronous worker would pay milliseconds for
`async_to_sync(group_send)`. Knows nothing of sockets; `consumers.py` reads what is published here."""

import logging
import os
import time
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

import redis
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from isengard.jobs.models import Job, JobEvent

logger = logging.getLogger(__name__)
Message = dict[str, Any]

ALL_JOBS = "jobs"
ADVANCE = "UPDATE jobs_job SET last_seq = last_seq + 1 WHERE id = %s RETURNING *"
# While Redis is away every publish would cost a timeout; pages poll meanwhile.
OUTAGE_PAUSE = 2.0


def group_of(public_id: str) -> str:
    return f"job.{public_id}"


def append(job: Job, kind: str, payload: Message) -> JobEvent:
    """Writes the next event (kind: state, stage, log, sample, checkpoint, output) and announces it on commit.

    Bumping `last_seq` locks the job's row, which makes `seq` gapless. The caller has checked that it may write."""
    with transaction.atomic(savepoint=False):
        # A fresh object: refreshing the caller's would hand it a fence that is not its own.
        return record(Job.objects.raw(ADVANCE, [job.pk])[0], kind, payload)


def record(job: Job, kind: str, payload: Message) -> JobEvent:
    """The event at `job.last_seq`, for a caller that has just advanced it in the same transaction."""
    event = JobEvent.objects.create(job=job, seq=job.last_seq, kind=kind, payload=payload)
    state = snapshot(job)
    transaction.on_commit(lambda: announce(state, event))
    return event


def snapshot(job: Job) -> Message:
    """A job as sockets and streams see it; small on purpose, it is sent once a second."""
    return {
        "type": "snapshot",
        "job": job.public_id,
        "kind": job.kind,
        "seq": job.last_seq,
        "state": job.state,
        "cancelling": job.is_cancelling,
        "held": job.held_at is not None,
        "stage": job.stage,
        "message": job.message,
        "step": job.step,
        "total": job.total,
        "percent": job.percent,
        "loss": job.loss,
        "speed": job.speed,
        "eta": job.eta_seconds,
        "error": {"code": job.error_code, "message": job.error_message} if job.error_code else None,
    }


def message_of(public_id: str, event: JobEvent) -> Message:
    """A durable event as sockets see it."""
    return {
        "type": "event",
        "job": public_id,
        "seq": event.seq,
        "kind": event.kind,
        "payload": event.payload,
        "at": _iso(event.created_at),
    }


def since(public_id: str, after: int, most: int) -> tuple[Message, list[Message]] | None:
    """A job's snapshot and its events after `after`, none of them when they are more than `most`. None: no such job."""
    job = Job.objects.filter(public_id=public_id).first()
    if job is None:
        return None
    # Up to the snapshot's own seq, so that nothing that happens meanwhile is taken for known.
    missed = list(job.events.filter(seq__gt=after, seq__lte=job.last_seq)[: most + 1])
    return snapshot(job), [message_of(public_id, event) for event in missed] if len(missed) <= most else []


def announce(state: Message, event: JobEvent | None = None) -> None:
    """Tells the job's page (event, then snapshot) and the pages that show all jobs (snapshot)."""
    own = group_of(state["job"])
    messages = [(own, message_of(state["job"], event))] if event is not None else []
    publish([*messages, (own, state), (ALL_JOBS, state)])


def publish(messages: Iterable[tuple[str, Message]]) -> None:
    """Sends (group, message) pairs in one round trip. Never raises: a push must not fail a job."""
    publisher = _publisher(os.getpid())
    publisher.send(list(messages))


class Publisher:
    """A synchronous voice on the asynchronous channel layer, one per process (connections do not survive a fork)."""

    def __init__(self) -> None:
        config: Any = settings.CHANNEL_LAYERS["default"]["CONFIG"]
        self._prefix = f"{config['prefix']}__group__"
        self._serialize = get_channel_layer().serialize
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        self._quiet_until = 0.0
        self.lost = 0

    def send(self, messages: list[tuple[str, Message]]) -> None:
        if time.monotonic() < self._quiet_until:
            self.lost += len(messages)
            return
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for group, message in messages:
                    pipe.publish(self._prefix + group, self._serialize({"type": "job.message", "message": message}))
                pipe.execute()
        except redis.RedisError as error:
            self.lost += len(messages)
            self._quiet_until = time.monotonic() + OUTAGE_PAUSE
            logger.warning("Live updates could not be sent (%d lost so far): %s", self.lost, error)


@cache
def _publisher(_process: int) -> Publisher:
    return Publisher()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
