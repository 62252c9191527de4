"""Addresses of the caption pages, in the namespace of characters."""

from django.urls import path

from characters.captions import views

urlpatterns = [
    path("characters/trigger", views.trigger_help, name="trigger"),
    path("characters/<id:public_id>/captions", views.table, name="captions"),
    path("characters/<id:public_id>/captions/findings", views.findings, name="captions-findings"),
    path("characters/<id:public_id>/captions/write", views.write, name="captions-write"),
    path("captions/dialog", views.dialog, name="bulk-captions"),
    path("captions/edit", views.edit, name="captions-edit"),
    path("captions/undo", views.undo, name="captions-undo"),
    path("captions/tasks/<id:public_id>", views.job, name="caption-task"),
]
