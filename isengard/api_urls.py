"""Every address of the JSON API, without trailing slashes. Literal routes stand before those with an id."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from isengard import api_schema  # noqa: F401  (registers itself)
from isengard.api_views import EchoView, HealthView, InfoView, ReadyView, VideoView

urlpatterns = [
    # Aliases for container probes and for clients that know the studio by its root.
    path("health", HealthView.as_view(schema=None)),
    path("ready", ReadyView.as_view(schema=None)),
    path("info", InfoView.as_view(schema=None)),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("docs", SpectacularSwaggerView.as_view(url_name="openapi", http_method_names=["get", "head"]), name="docs"),
    path("api/health", HealthView.as_view(), name="api-health"),
    path("api/ready", ReadyView.as_view(), name="api-ready"),
    path("api/info", InfoView.as_view(), name="api-info"),
    path("api/_debug/echo", EchoView.as_view()),
    re_path(r"^api/video(?:/(?P<rest>.*))?$", VideoView.as_view()),
    path("api/", include("isengard.logs.api_urls")),
    path("api/", include("characters.api_urls")),
    path("api/", include("training.api_urls")),
    path("api/", include("generation.api_urls")),
    path("api/", include("isengard.jobs.api_urls")),
]
