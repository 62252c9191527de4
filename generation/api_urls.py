"""API addresses of pictures, below /api/."""

from django.urls import include, path

from characters.uploads import capped
from generation.api import (
    CancelGenerationView,
    CancelPictureView,
    GenerationListView,
    GenerationStreamView,
    GenerationView,
    KeepOutputView,
    OutputThumbnailView,
    OutputView,
    PreviewView,
)
from generation.compose_api import CancelAllView, RecallView, StylesView, StyleView, WildcardsView
from generation.parity_api import RepeatSampleView
from generation.tools_api import GridView, InputsView, ToolsView

urlpatterns = [
    path("", include("generation.gallery.api_urls")),
    path("generation/tools", ToolsView.as_view(), name="api-tools"),
    path("generation/inputs", capped(InputsView.as_view()), name="api-inputs"),
    path("generation/grid", GridView.as_view(), name="api-grid"),
    path("generation/styles", StylesView.as_view(), name="api-styles"),
    path("generation/styles/<path:name>", StyleView.as_view(), name="api-style"),
    path("generation/wildcards", WildcardsView.as_view(), name="api-wildcards"),
    path("generation/recall", capped(RecallView.as_view()), name="api-recall"),
    path("generation/cancel", CancelAllView.as_view(), name="api-generation-cancel-all"),
    path("generation", GenerationListView.as_view(), name="api-generation-list"),
    path("generation/from-sample", RepeatSampleView.as_view(), name="api-generation-from-sample"),
    path("generation/<str:job_id>", GenerationView.as_view(), name="api-generation"),
    path("generation/<str:job_id>/cancel", CancelGenerationView.as_view(), name="api-generation-cancel"),
    path("generation/<str:job_id>/stream", GenerationStreamView.as_view(), name="api-generation-stream"),
    path("generation/<str:job_id>/outputs/<int:index>", OutputView.as_view(), name="api-output"),
    path(
        "generation/<str:job_id>/outputs/<int:index>/thumbnail",
        OutputThumbnailView.as_view(),
        name="api-output-thumbnail",
    ),
    path("generation/<str:job_id>/outputs/<int:index>/keep", KeepOutputView.as_view(), name="api-output-keep"),
    path("generation/<str:job_id>/outputs/<int:index>/cancel", CancelPictureView.as_view(), name="api-output-cancel"),
    path("generation/<str:job_id>/previews/<str:name>", PreviewView.as_view(), name="api-generation-preview"),
]
