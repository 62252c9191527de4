"""API addresses of trainings and LoRAs, below /api/. Literal routes stand before those with an id."""

from django.urls import include, path

from training.api import (
    CancelTrainingView,
    OngoingTrainingsView,
    SuccessfulTrainingsView,
    TrainingListView,
    TrainingStreamView,
    TrainingView,
)
from training.plan_api import FailureView, PlanView, RetryTrainingView
from training.preset_api import PresetListView, PresetView
from training.run_api import CheckpointsView, CurveView, MachineView, PinView, StateView
from training.sweep_api import ContinueView, SweepKeepView, SweepListView, SweepSeriesView, SweepView

urlpatterns = [
    path("training", TrainingListView.as_view(), name="api-training-list"),
    path("training/successful", SuccessfulTrainingsView.as_view(), name="api-training-successful"),
    path("training/ongoing", OngoingTrainingsView.as_view(), name="api-training-ongoing"),
    path("training/plan", PlanView.as_view(), name="api-training-plan"),
    path("training/presets", PresetListView.as_view(), name="api-presets"),
    path("training/presets/<int:preset_id>", PresetView.as_view(), name="api-preset"),
    path("training/sweeps", SweepListView.as_view(), name="api-sweeps"),
    path("training/sweeps/<int:sweep_id>", SweepView.as_view(), name="api-sweep"),
    path("training/sweeps/<int:sweep_id>/series", SweepSeriesView.as_view(), name="api-sweep-series"),
    path("training/sweeps/<int:sweep_id>/keep", SweepKeepView.as_view(), name="api-sweep-keep"),
    path("training/<str:job_id>", TrainingView.as_view(), name="api-training"),
    path("training/<str:job_id>/cancel", CancelTrainingView.as_view(), name="api-training-cancel"),
    path("training/<str:job_id>/failure", FailureView.as_view(), name="api-training-failure"),
    path("training/<str:job_id>/retry", RetryTrainingView.as_view(), name="api-training-retry"),
    path("training/<str:job_id>/continue", ContinueView.as_view(), name="api-training-continue"),
    path("training/<str:job_id>/state", StateView.as_view(), name="api-training-state"),
    path("training/<str:job_id>/stream", TrainingStreamView.as_view(), name="api-training-stream"),
    path("training/<str:job_id>/curve", CurveView.as_view(), name="api-training-curve"),
    path("training/<str:job_id>/machine", MachineView.as_view(), name="api-training-machine"),
    path("training/<str:job_id>/checkpoints", CheckpointsView.as_view(), name="api-training-checkpoints"),
    path("training/<str:job_id>/checkpoints/<int:step>/pin", PinView.as_view(), name="api-training-pin"),
    path("", include("training.library.api_urls")),
]
