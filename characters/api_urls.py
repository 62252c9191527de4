"""API addresses of characters, below /api/. Any text is taken for an id, so that an unknown one gets its sentence."""

from django.urls import include, path

from characters.api import CharactersView, CharacterView, ImagesView, ImageView
from characters.uploads import capped

urlpatterns = [
    path("", include("characters.transfer.api_urls")),
    path("", include("characters.doctor.api_urls")),
    path("", include("characters.captions.api_urls")),
    path("", include("characters.framing.api_urls")),
    # Last of these: its images/<id> would take the literal names of the others for ids.
    path("", include("characters.browse.api_urls")),
    path("characters", CharactersView.as_view(), name="api-characters"),
    path("characters/<str:character_id>", CharacterView.as_view(), name="api-character"),
    path("characters/<str:character_id>/images", capped(ImagesView.as_view()), name="api-character-images"),
    path("characters/<str:character_id>/images/<str:name>", ImageView.as_view(), name="api-character-image"),
]
