"""Celery's doorbells: they carry a lane's queue name and call one function each."""

from isengard.celery import app
from isengard.jobs import doorbell, runner, watchdog, workers


@app.task(name="jobs.wake_lane")
def wake_lane(queue: str) -> None:
    """Runs what is queued for the lane of this queue until nothing is left."""
    host = workers.host(queue)
    runner.run_lane(doorbell.lane_of(queue), workers.owner(), host, workers.draining)
    workers.keep_engine_ready(queue)


@app.task(name="jobs.watchdog")
def ring_watchdog() -> None:
    watchdog.tick()
