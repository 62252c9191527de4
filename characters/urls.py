"""Page addresses of the app. Literal names stand before ids."""

from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from characters import views
from characters.uploads import capped

# Upload handlers are chosen before anybody reads the body, and the middleware's token check reads it: so it waits.
UPLOAD = csrf_exempt(capped(csrf_protect(views.upload)))

app_name = "characters"
urlpatterns = [
    path("dataset/", include("characters.browse.urls")),
    path("dataset/", include("characters.framing.urls")),
    path("", include("characters.doctor.urls")),
    path("", include("characters.captions.urls")),
    path("", include("characters.transfer.urls")),
    path("characters", views.character_list, name="list"),
    path("characters/new", views.create, name="create"),
    path("characters/<id:public_id>", views.detail, name="detail"),
    path("characters/<id:public_id>/edit", views.edit, name="edit"),
    path("characters/<id:public_id>/delete", views.delete, name="delete"),
    path("characters/<id:public_id>/photos", UPLOAD, name="upload"),
]
