"""API addresses of the LoRA library, below /api/. Literal routes stand before those with an id."""

from django.urls import path

from characters.transfer.sending import archived
from training.library.api import (
    CheckpointPublishView,
    LoraActivateView,
    LoraDownloadView,
    LoraListView,
    LoraRestoreView,
    LoraUploadView,
    LoraView,
)

urlpatterns = [
    path("training/<str:job_id>/checkpoints/<int:step>/publish", CheckpointPublishView.as_view()),
    path("loras", LoraListView.as_view(), name="api-lora-list"),
    path("loras/upload", archived(LoraUploadView.as_view()), name="api-lora-upload"),
    path("loras/<str:lora_id>", LoraView.as_view(), name="api-lora"),
    path("loras/<str:lora_id>/activate", LoraActivateView.as_view(), name="api-lora-activate"),
    path("loras/<str:lora_id>/restore", LoraRestoreView.as_view(), name="api-lora-restore"),
    path("loras/<str:lora_id>/download", LoraDownloadView.as_view(), name="api-lora-download"),
]
