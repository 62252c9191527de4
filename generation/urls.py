"""Page addresses of the app. Literal names stand before ids."""

from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from characters.uploads import capped
from generation import card_views, grid_views, parity_views, views

# The cap must be there before anybody reads the body, and the check of the token does.
CREATE, ATTACH, RECALL, START_GRID = (
    csrf_exempt(capped(csrf_protect(view)))
    for view in (views.create, views.attach, views.recall_file, grid_views.start)
)

app_name = "generation"
urlpatterns = [
    path("", include("generation.gallery.urls")),
    path("generate", CREATE, name="create"),
    path("generate/hint", views.hint, name="hint"),
    path("generate/frame", views.frame, name="frame"),
    path("generate/attach", ATTACH, name="attach"),
    path("generate/inputs/<str:key>", views.input_file, name="input"),
    path("generate/recall", RECALL, name="recall"),
    path("generate/styles", views.keep_style, name="keep-style"),
    path("generate/styles/delete", views.delete_style, name="delete-style"),
    path("generate/grid", START_GRID, name="start-grid"),
    path("generate/<id:public_id>/grid", grid_views.page, name="grid"),
    path("generate/<id:public_id>/grid.html", grid_views.download, name="grid-file"),
    path("generate/cancel", views.cancel_all, name="cancel-all"),
    path("generate/results", views.results, name="results"),
    path("generate/sample", parity_views.repeat, name="repeat-sample"),
    path("generate/<id:public_id>", views.detail, name="detail"),
    path("generate/<id:public_id>/cancel", card_views.cancel, name="cancel"),
    path("generate/<id:public_id>/retry", card_views.retry, name="retry"),
    path("generate/<id:public_id>/pictures/<int:index>/cancel", card_views.strike, name="strike"),
    path("generate/<id:public_id>/pictures/<int:index>/delete", card_views.delete_output, name="delete-output"),
    path("generate/<id:public_id>/pictures/<int:index>/keep", card_views.keep_output, name="keep-output"),
]
