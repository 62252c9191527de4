"""Addresses of the photo page and its panels, below /photos/. Each panel's package adds its own line."""

from django.urls import path

from characters.browse import views as browse

app_name = "photos"
urlpatterns = [
    path("<id:public_id>", browse.photo_page, name="page"),
]
