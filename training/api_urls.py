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
    path("", include("training.library.api_urls")),
]
