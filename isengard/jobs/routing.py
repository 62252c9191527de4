"""Websocket addresses of the app."""

from django.urls import URLPattern, path, re_path

from isengard.ids import PATTERN
from isengard.jobs.consumers import AllJobs, Nowhere, OneJob

websocket_urlpatterns: list[URLPattern] = [
    path("ws/jobs/", AllJobs.as_asgi()),
    # Spelled out: the `<id:…>` converter is registered by the page addresses, which a socket need not wait for.
    re_path(rf"^ws/jobs/(?P<job_id>{PATTERN.pattern})/$", OneJob.as_asgi()),
    re_path(r"", Nowhere.as_asgi()),
]
