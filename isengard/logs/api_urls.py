"""API addresses of the logs app, below /api/."""

from django.urls import path

from isengard.logs.api import ClientLogsView

urlpatterns = [path("client-logs", ClientLogsView.as_view(), name="api-client-logs")]
