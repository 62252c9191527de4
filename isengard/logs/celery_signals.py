"""Carries the correlation id inside Celery messages: out with the header, in around the task. No business flow.

The receivers are connected once, by the app's `ready`."""

from typing import Any

from celery import signals

from isengard.logs import correlation

HEADER = "correlation_trace"


def connect() -> None:
    signals.before_task_publish.connect(put_in, dispatch_uid="correlation-out")
    signals.task_prerun.connect(take_out, dispatch_uid="correlation-in")
    signals.task_postrun.connect(forget, dispatch_uid="correlation-end")
    # A receiver of this signal keeps Celery from adding handlers of its own, which know no redaction.
    signals.setup_logging.connect(keep_our_logging, dispatch_uid="our-logging")


def put_in(headers: dict[str, Any], **_: Any) -> None:
    """Celery's own `correlation_id` property is the task's id, hence a header with another name."""
    if correlation.current():
        headers[HEADER] = correlation.current()


def take_out(task: Any, **_: Any) -> None:
    value = task.request.get(HEADER) or (task.request.headers or {}).get(HEADER) or ""
    correlation.enter(value if correlation.is_sane(value) else correlation.new_id())


def forget(**_: Any) -> None:
    correlation.enter("")


def keep_our_logging(**_: Any) -> None:
    """Logging was set up by Django's settings before the worker came this far."""
