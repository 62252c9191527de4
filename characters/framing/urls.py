"""Bulk addresses of crops and masks, below /dataset/, in the namespace of characters."""

from django.urls import path

from characters.framing import views

urlpatterns = [
    path("crops", views.crop_images, name="crop-images"),
    path("masks", views.mask_images, name="mask-images"),
    path("masks/undo", views.undo_masks, name="masks-undo"),
    path("masks/<id:public_id>", views.mask_task, name="mask-task"),
]
