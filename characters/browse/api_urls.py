"""API addresses of the dataset, below /api/. Literal names stand before ids."""

from django.urls import path

from characters.browse import api

urlpatterns = [
    path("images", api.DatasetView.as_view(), name="api-dataset"),
    path("images/totals", api.TotalsView.as_view(), name="api-dataset-totals"),
    path("images/delete", api.DeleteView.as_view(), name="api-dataset-delete"),
    path("images/undo", api.UndoView.as_view(), name="api-dataset-undo"),
    path("images/split", api.SplitView.as_view(), name="api-dataset-split"),
    path("images/tag", api.TagView.as_view(), name="api-dataset-tag"),
    path("images/untag", api.UntagView.as_view(), name="api-dataset-untag"),
    path("images/move", api.MoveView.as_view(), name="api-dataset-move"),
    path("images/<str:image_id>", api.PhotoView.as_view(), name="api-photo"),
    path("tags", api.TagsView.as_view(), name="api-tags"),
    path("tags/<path:name>", api.OneTagView.as_view(), name="api-tag"),
]
