"""API addresses of import and export, below /api/. `characters/import` must stand before ids."""

from django.urls import path

from characters.transfer.api import ExportView, ImportIntoView, ImportNewView, ImportView, SelectionExportView
from characters.transfer.sending import archived

urlpatterns = [
    path("characters/import", archived(ImportNewView.as_view()), name="api-import-new"),
    path("characters/<str:character_id>/import", archived(ImportIntoView.as_view()), name="api-import"),
    path("characters/<str:character_id>/export", ExportView.as_view(), name="api-export"),
    path("images/export", SelectionExportView.as_view(), name="api-images-export"),
    path("imports/<str:job_id>", ImportView.as_view(), name="api-import-report"),
]
