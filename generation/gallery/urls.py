"""Addresses of the gallery, in the namespace of generation. Literal names stand before ids."""

from django.urls import path

from generation.gallery import actions, keeping, views

urlpatterns = [
    path("pictures", views.pictures, name="pictures"),
    path("pictures/grid", views.grid, name="pictures-grid"),
    path("pictures/block", views.block, name="pictures-block"),
    path("pictures/tiles", views.tiles, name="pictures-tiles"),
    path("pictures/live", views.live, name="pictures-live"),
    path("pictures/counts", views.counts, name="pictures-counts"),
    path("pictures/compare", views.compare, name="pictures-compare"),
    path("pictures/delete", actions.delete, name="pictures-delete"),
    path("pictures/undo", actions.undo, name="pictures-undo"),
    path("pictures/mark", actions.mark, name="pictures-mark"),
    path("pictures/board", actions.board, name="pictures-board"),
    path("pictures/download", actions.download, name="pictures-download"),
    path("pictures/storage", keeping.storage_page, name="pictures-storage"),
    path("pictures/storage/clean", keeping.clean, name="pictures-clean"),
    path("pictures/boards", actions.boards, name="pictures-boards"),
    path("pictures/boards/change", actions.change_board, name="pictures-board-change"),
    path("pictures/<id:public_id>/<int:index>", views.panel, name="picture"),
    path("pictures/<id:public_id>/<int:index>/mark", actions.mark_one, name="picture-mark"),
    path("pictures/<id:public_id>/<int:index>/delete", actions.delete_one, name="picture-delete"),
    path("characters/<id:public_id>/pictures", views.character, name="character-pictures"),
    path("characters/<id:public_id>/synthetic", keeping.staging_page, name="synthetic"),
    path("characters/<id:public_id>/synthetic/staged", keeping.staged, name="synthetic-staged"),
    path("characters/<id:public_id>/synthetic/keep", keeping.keep, name="synthetic-keep"),
    path("characters/<id:public_id>/synthetic/discard", keeping.discard, name="synthetic-discard"),
]
