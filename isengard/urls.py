"""Composition root: every page and API path of the studio. Imported by nothing but Django."""

from django.contrib import admin
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from characters.browse import views as browse
from generation import views as generation
from isengard.ids import PublicIdConverter
from isengard.jobs import views as jobs

register_converter(PublicIdConverter, "id")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="characters:list"), name="home"),
    path("", include("isengard.api_urls")),
    path("status", jobs.status, name="status"),
    path("logs", jobs.logs, name="logs"),
    path("queue", include("isengard.jobs.urls")),
    path("dataset", browse.dataset, name="dataset"),
    path("photos/", include("characters.photo_urls")),
    path("video", generation.video, name="video"),
    path("", include("characters.urls")),
    path("", include("training.urls")),
    path("", include("generation.urls")),
    path("admin/", admin.site.urls),
]
handler400 = "isengard.views.bad_request"
handler403 = "isengard.views.forbidden"
handler404 = "isengard.views.not_found"
handler500 = "isengard.views.server_error"
