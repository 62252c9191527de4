"""Rings a lane's bell. The message names a lane, never a job, and may be lost: the watchdog rings again."""

import logging
from datetime import timedelta

from django.conf import settings
from kombu.exceptions import OperationalError

from isengard.celery import app

logger = logging.getLogger(__name__)
EXPIRES = timedelta(minutes=1)


def queues(lane: str) -> list[str]:
    """The Celery queues whose workers may claim a lane's jobs."""
    return list(settings.GPU_LANES) if lane == "gpu" else [lane]


def lane_of(queue: str) -> str:
    """The lane (gpu or cpu) that a queue's worker claims from: gpu0, gpu1 … all serve gpu."""
    return queue.rstrip("0123456789")


def ring(lane: str) -> None:
    for queue in queues(lane):
        ring_queue(queue)


def ring_queue(queue: str) -> None:
    """Wakes one worker. A broker that is away is logged, never raised: the job is safe in the database."""
    try:
        app.send_task("jobs.wake_lane", args=[queue], queue=queue, expires=EXPIRES.total_seconds(), retry=False)
    except OperationalError as error:
        logger.warning("The bell of %s could not be rung: %s", queue, error)
