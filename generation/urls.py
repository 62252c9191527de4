"""Page addresses of the app. Literal names stand before ids."""

from django.urls import path

from generation import views

app_name = "generation"
urlpatterns = [
    path("generate", views.create, name="create"),
    path("generate/hint", views.hint, name="hint"),
    path("generate/results", views.results, name="results"),
    path("generate/<id:public_id>", views.detail, name="detail"),
    path("generate/<id:public_id>/cancel", views.cancel, name="cancel"),
    path("generate/<id:public_id>/retry", views.retry, name="retry"),
    path("generate/<id:public_id>/pictures/<int:index>/delete", views.delete_output, name="delete-output"),
    path("generate/<id:public_id>/pictures/<int:index>/keep", views.keep_output, name="keep-output"),
]
