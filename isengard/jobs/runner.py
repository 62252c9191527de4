"""Claims a lane's jobs and sees each through to one end: completed, failed, cancelled, or back in the queue.

A library: Celery's task, the tests and `manage.py demo` call `run_lane`. Knows no product and no broker."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from isengard.engine.errors import EngineError
from isengard.engine.serve import explain
from isengard.errors import DomainError
from isengard.jobs import transitions
from isengard.jobs.context import JobContext
from isengard.jobs.handlers import Handler
from isengard.jobs.host import EngineFailed, EngineHost
from isengard.jobs.kinds import KINDS, handler_for
from isengard.jobs.models import TERMINAL, Job
from isengard.jobs.patience import patiently
from isengard.logs import correlation

logger = logging.getLogger(__name__)

# The engine or its worker went away under the job: another try may well end differently.
CRASHES = {"engine_killed", "engine_hung", "engine_stalled", "engine_start_timeout", "gpu_busy", "worker_lost"}


@dataclass(frozen=True)
class Failure:
    code: str
    message: str
    retryable: bool
    tail: str = ""

    @classmethod
    def of(cls, error: DomainError | EngineError | EngineFailed) -> "Failure":
        retryable = getattr(error, "retryable", False)
        return cls(error.code, error.message, retryable, getattr(error, "tail", ""))

    @classmethod
    def unknown(cls, error: Exception) -> "Failure":
        tail = "".join(traceback.format_exception(error))[-8000:]
        # A disk fills up in a handler as it does in the engine, and the cure is the same.
        if (known := explain(error)).code == "disk_full":
            return cls(known.code, known.message, known.retryable, tail)
        message = f"The studio ran into an error it does not know: {type(error).__name__}: {error}"
        return cls("internal_error", message, True, tail)


WORKER_LOST = Failure("worker_lost", "The worker was lost while it ran this job. Start it again with Retry.", True)


def run_lane(lane: str, owner: str, host: EngineHost, draining: Callable[[], bool] = lambda: False) -> int:
    """Runs queued jobs of a lane (gpu or cpu) until there is none or the worker is to leave; says how many."""
    count = 0
    while not draining():
        job = patiently(lambda: transitions.claim(lane, owner))
        if job is None:
            break
        run(job, host, draining)
        count += 1
    return count


def run(job: Job, host: EngineHost, draining: Callable[[], bool] = lambda: False) -> None:
    """One claimed job, to whatever end. Never raises on account of the job."""
    handler = handler_for(job.kind)
    context = JobContext(job, handler, draining)
    with correlation.using(job.correlation_id):
        context.log.write("INFO", f"{job.kind}.start", job.label, {"attempt": job.attempts})
        try:
            _attempt(job, handler, host, context)
        except transitions.LostJob:
            logger.warning("%s was taken from this worker", job.public_id)
        except (DomainError, EngineError, EngineFailed) as error:
            _stumble(job, context, Failure.of(error))
        except Exception as error:  # the one broad net: a bug in a handler must not stop the lane
            logger.exception("%s failed", job.public_id)
            _stumble(job, context, Failure.unknown(error))


def _attempt(job: Job, handler: Handler, host: EngineHost, context: JobContext) -> None:
    kind = KINDS[job.kind]
    with context:
        result = host.run(
            handler.spec(job),
            context.on_event,
            context.should_stop,
            kind.stop_grace,
            kind.fresh_engine,
            asks=context.asks,
            correlation_id=job.correlation_id,
        )
    if context.stop == "lost":
        raise transitions.LostJob(job.public_id)
    if not result.get("stopped"):
        _settle(job, context, partial(_complete, job, handler, result))
    else:
        _settle(job, context, partial(_put_back, job, context))


def _put_back(job: Job, context: JobContext) -> bool:
    """Back in the queue from a pause or a shutdown; neither costs an attempt. False: lost or to be cancelled."""
    if context.stop != "hold":
        return transitions.requeue(job, reason="Paused by a shutdown", counted=False)
    step, total = Job.objects.values_list("step", "total").get(pk=job.pk)
    return transitions.requeue(job, reason=f"Paused at step {step} of {total}" if total else "Paused", counted=False)


def _complete(job: Job, handler: Handler, result: dict[str, Any]) -> bool:
    """Product rows and the end of the job in one transaction. False: the user asked to cancel before it began."""
    with transitions.held(job) as mine:
        if mine.cancel_requested_at is not None:
            return False
        return transitions.complete(mine, handler.finish(mine, result))


def _stumble(job: Job, context: JobContext, failure: Failure) -> None:
    """What did not end well: another try after a crash, else failed with the reason."""
    if context.stop == "lost":
        return
    context.log.write("ERROR", f"{job.kind}.failed", failure.message, {"code": failure.code, "tail": failure.tail})
    if context.stop in {"drain", "hold"}:
        _settle(job, context, partial(_put_back, job, context))
    else:
        _settle(job, context, partial(retry_or_fail, job, failure))


def retry_or_fail(job: Job, failure: Failure) -> bool:
    """After a crash back to the queue while attempts are left, otherwise failed. False: lost or to be cancelled."""
    if failure.code in CRASHES and job.attempts < settings.JOB_MAX_ATTEMPTS:
        return transitions.requeue(job, reason=f"Starting again: {failure.message}"[:300], counted=True)
    return transitions.fail(
        job, code=failure.code, message=failure.message, retryable=failure.retryable, tail=failure.tail
    )


def _settle(job: Job, context: JobContext, end: Callable[[], bool]) -> None:
    """Writes the end of this run; a cancel that came first wins, a lost job is left alone."""
    patiently(lambda: end() or transitions.cancel(job))
    current = Job.objects.filter(pk=job.pk).first()
    # Whoever waits for the end may remove the job the moment it is written.
    if current is not None:
        context.log.write("INFO", f"{job.kind}.{current.state}", current.message or current.state.capitalize())
        ended(current)


def ended(job: Job) -> None:
    """Lets the product tidy up after a terminal state."""
    if job.state in TERMINAL:
        transaction.on_commit(lambda: handler_for(job.kind).on_ended(job))
