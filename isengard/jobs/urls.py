"""Page addresses of the queue."""

from django.urls import path

from isengard.jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.queue, name="queue"),
    path("/order", views.arrange, name="arrange"),
    path("/<id:public_id>/<slug:action>", views.act, name="act"),
]
