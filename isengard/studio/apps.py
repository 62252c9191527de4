"""Makes `manage.py studio` and `manage.py doctor` known to Django; there are no models."""

from django.apps import AppConfig


class StudioConfig(AppConfig):
    name = "isengard.studio"
    label = "studio"
