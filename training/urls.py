"""Page addresses of the app. Literal names stand before ids."""

from django.urls import include, path

from training import fix_views, views

app_name = "training"
urlpatterns = [
    path("training", views.history, name="list"),
    path("training/start", views.start, name="start"),
    path("training/plan", views.plan, name="plan"),
    path("training/ongoing", views.ongoing, name="ongoing"),
    path("training/<id:public_id>", views.detail, name="detail"),
    path("training/<id:public_id>/chart", views.chart, name="chart"),
    path("training/<id:public_id>/cancel", views.cancel, name="cancel"),
    path("training/<id:public_id>/pause", views.pause, name="pause"),
    path("training/<id:public_id>/resume", views.resume, name="resume"),
    path("training/<id:public_id>/save", views.save_now, name="save-now"),
    path("training/<id:public_id>/sample", views.sample_now, name="sample-now"),
    path("training/<id:public_id>/retry", views.retry, name="retry"),
    path("training/<id:public_id>/fix", fix_views.fix, name="fix"),
    path("", include("training.library.urls")),
]
