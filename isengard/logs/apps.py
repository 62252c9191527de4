"""Registers the logs app."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "isengard.logs"
    label = "logs"
