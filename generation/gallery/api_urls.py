"""API addresses of the gallery, below /api/. Literal names stand before ids."""

from django.urls import path

from generation.gallery import api

urlpatterns = [
    path("outputs", api.PicturesView.as_view(), name="api-outputs"),
    path("outputs/mark", api.MarkView.as_view(), name="api-outputs-mark"),
    path("outputs/delete", api.DeleteView.as_view(), name="api-outputs-delete"),
    path("outputs/undo", api.UndoView.as_view(), name="api-outputs-undo"),
    path("outputs/zip", api.ZipView.as_view(), name="api-outputs-zip"),
    path("outputs/storage", api.StorageView.as_view(), name="api-outputs-storage"),
    path("outputs/storage/rule", api.RuleView.as_view(), name="api-outputs-rule"),
    path("boards", api.BoardsView.as_view(), name="api-boards"),
    path("boards/<int:board_id>", api.BoardView.as_view(), name="api-board"),
    path("boards/<int:board_id>/add", api.BoardAddView.as_view(), name="api-board-add"),
    path("boards/<int:board_id>/remove", api.BoardRemoveView.as_view(), name="api-board-remove"),
    path("characters/<str:character_id>/synthetic", api.SyntheticView.as_view(), name="api-synthetic"),
    path("characters/<str:character_id>/synthetic/keep", api.SyntheticKeepView.as_view(), name="api-synthetic-keep"),
    path(
        "characters/<str:character_id>/synthetic/discard",
        api.SyntheticDiscardView.as_view(),
        name="api-synthetic-discard",
    ),
]
