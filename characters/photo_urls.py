"""Addresses of the photo page and its panels, below /photos/. Each panel's package adds its own line."""

from django.urls import path

from characters.browse import views as browse
from characters.captions import views as captions

app_name = "photos"
urlpatterns = [
    path("<id:public_id>", browse.photo_page, name="page"),
    path("<id:public_id>/caption", captions.panel, name="caption"),
    path("<id:public_id>/caption/versions", captions.versions, name="caption-versions"),
    path("<id:public_id>/caption/versions/<int:number>", captions.restore, name="caption-restore"),
]
