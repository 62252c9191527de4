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
from training.run_api import CheckpointsView, CurveView, MachineView, PinView

urlpatterns = [
    path("training", TrainingListView.as_view(), name="api-training-list"),
    path("training/successful", SuccessfulTrainingsView.as_view(), name="api-training-successful"),
    path("training/ongoing", OngoingTrainingsView.as_view(), name="api-training-ongoing"),
    path("training/plan", PlanView.as_view(), name="api-training-plan"),
    path("training/<str:job_id>", TrainingView.as_view(), name="api-training"),
    path("training/<str:job_id>/cancel", CancelTrainingView.as_view(), name="api-training-cancel"),
    path("training/<str:job_id>/failure", FailureView.as_view(), name="api-training-failure"),
    path("training/<str:job_id>/retry", RetryTrainingView.as_view(), name="api-training-retry"),
    path("training/<str:job_id>/stream", TrainingStreamView.as_view(), name="api-training-stream"),
    path("training/<str:job_id>/curve", CurveView.as_view(), name="api-training-curve"),
    path("training/<str:job_id>/machine", MachineView.as_view(), name="api-training-machine"),
    path("training/<str:job_id>/checkpoints", CheckpointsView.as_view(), name="api-training-checkpoints"),
    path("training/<str:job_id>/checkpoints/<int:step>/pin", PinView.as_view(), name="api-training-pin"),
    path("", include("training.library.api_urls")),
]
