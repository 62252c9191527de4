"""Addresses of the dataset's parts and bulk actions, below /dataset/, in the namespace of characters."""

from django.urls import path

from characters.browse import actions, views

urlpatterns = [
    path("grid", views.grid, name="grid"),
    path("block", views.block, name="block"),
    path("tiles", views.tiles, name="tiles"),
    path("counts", views.counts, name="counts"),
    path("tag-names", views.tag_names, name="tag-names"),
    path("tags", views.tag_list, name="tags"),
    path("tags/change", views.tag_change, name="tag-change"),
    path("delete", actions.delete, name="delete-images"),
    path("undo", actions.undo, name="undo"),
    path("split", actions.split, name="split-images"),
    path("tag", actions.tag, name="tag-images"),
    path("owners", actions.owners, name="owners"),
    path("move", actions.move, name="move-images"),
]
