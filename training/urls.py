"""Page addresses of the app. Literal names stand before ids."""

from django.urls import include, path

from training import continue_views, fix_views, preset_views, run_views, sweep_views, views

app_name = "training"
urlpatterns = [
    path("training", views.history, name="list"),
    path("training/start", views.start, name="start"),
    path("training/plan", views.plan, name="plan"),
    path("training/ongoing", views.ongoing, name="ongoing"),
    path("training/presets", preset_views.save, name="save-preset"),
    path("training/presets/<int:preset_id>/rename", preset_views.rename, name="rename-preset"),
    path("training/presets/<int:preset_id>/delete", preset_views.delete, name="delete-preset"),
    path("training/sweeps/<int:sweep_id>", sweep_views.detail, name="sweep"),
    path("training/sweeps/<int:sweep_id>/series", sweep_views.series, name="sweep-series"),
    path("training/sweeps/<int:sweep_id>/keep/<id:public_id>", sweep_views.keep, name="sweep-keep"),
    path("training/<id:public_id>", run_views.detail, name="detail"),
    path("training/<id:public_id>/chart", run_views.chart, name="chart"),
    path("training/<id:public_id>/machine", run_views.machine, name="machine"),
    path("training/<id:public_id>/samples", run_views.samples, name="samples"),
    path("training/<id:public_id>/log", run_views.log, name="log"),
    path("training/<id:public_id>/checkpoints/<int:step>/pin", run_views.pin, name="pin-checkpoint"),
    path("training/<id:public_id>/cancel", run_views.cancel, name="cancel"),
    path("training/<id:public_id>/pause", run_views.pause, name="pause"),
    path("training/<id:public_id>/resume", run_views.resume, name="resume"),
    path("training/<id:public_id>/save", run_views.save_now, name="save-now"),
    path("training/<id:public_id>/sample", run_views.sample_now, name="sample-now"),
    path("training/<id:public_id>/longer", continue_views.longer, name="longer"),
    path("training/<id:public_id>/go-on", continue_views.go_on, name="go-on"),
    path("training/<id:public_id>/forget-state", continue_views.forget, name="forget-state"),
    path("training/<id:public_id>/retry", run_views.retry, name="retry"),
    path("training/<id:public_id>/fix", fix_views.fix, name="fix"),
    path("", include("training.library.urls")),
]
