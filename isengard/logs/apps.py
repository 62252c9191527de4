"""Registers the logs app and the correlation id's way through Celery."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "isengard.logs"
    label = "logs"

    def ready(self) -> None:
        from isengard.logs import celery_signals

        celery_signals.connect()
