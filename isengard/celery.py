"""Celery carries doorbells only: a message says "wake up, lane", never which job (see jobs/tasks.py)."""

import os
from typing import Any

from celery import Celery
from celery.signals import task_prerun

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isengard.settings")

app = Celery("isengard")
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=False,
    task_default_queue="cpu",
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    # Celery would open a connection to the database for every task; Django's own rule for how long one is kept serves
    # here (`_fresh_connection`).
    CELERY_DB_REUSE_MAX=2**62,
    beat_schedule={
        "watchdog": {"task": "jobs.watchdog", "schedule": 10.0, "options": {"queue": "cpu", "expires": 10}},
        "sweep-thumbnails": {"task": "characters.sweep", "schedule": 60.0, "options": {"queue": "cpu", "expires": 60}},
        "sweep-pictures": {"task": "generation.sweep", "schedule": 60.0, "options": {"queue": "cpu", "expires": 60}},
        "sweep-loras": {"task": "training.sweep", "schedule": 60.0, "options": {"queue": "cpu", "expires": 60}},
    },
)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_prerun.connect
def _fresh_connection(**_: Any) -> None:
    """Lets go of a connection that is too old or that an outage has spoiled."""
    from django.db import close_old_connections

    close_old_connections()
