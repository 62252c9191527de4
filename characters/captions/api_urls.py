"""API addresses of captions, below /api/."""

from django.urls import path

from characters.captions import api

urlpatterns = [
    path("captioners", api.CaptionersView.as_view(), name="api-captioners"),
    path("captions/edit", api.EditView.as_view(), name="api-captions-edit"),
    path("captions/undo", api.UndoView.as_view(), name="api-captions-undo"),
    path("captions/tasks/<str:job_id>", api.WritingView.as_view(), name="api-captions-task"),
    path("characters/<str:character_id>/captions/lint", api.LintView.as_view(), name="api-captions-lint"),
    path("characters/<str:character_id>/captions/write", api.WriteView.as_view(), name="api-captions-write"),
    path("images/<str:image_id>/captions", api.CaptionView.as_view(), name="api-image-captions"),
    path("images/<str:image_id>/captions/restore", api.RestoreView.as_view(), name="api-image-captions-restore"),
    path("trigger", api.TriggerView.as_view(), name="api-trigger"),
]
