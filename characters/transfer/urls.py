"""Addresses of import and export, in the namespace of characters."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from characters.transfer import views
from characters.transfer.sending import archived

# Upload handlers are chosen before anybody reads the body, and the middleware's token check reads it: so it waits.
IMPORT_NEW = csrf_exempt(archived(csrf_protect(views.import_new)))
IMPORT_INTO = csrf_exempt(archived(csrf_protect(views.import_into)))

urlpatterns = [
    path("characters/import", IMPORT_NEW, name="import-new"),
    path("characters/<id:public_id>/import", IMPORT_INTO, name="import"),
    path("characters/<id:public_id>/export", views.export, name="export"),
    path("imports/<id:public_id>", views.import_result, name="import-result"),
    path("dataset/export", views.export_images, name="export-images"),
]
