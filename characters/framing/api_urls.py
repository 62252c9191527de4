"""API addresses of crops and masks, below /api/. Literal names stand before ids."""

from django.urls import path

from characters.framing import api
from characters.uploads import capped

urlpatterns = [
    path("images/crops", api.SuggestView.as_view(), name="api-dataset-crops"),
    path("images/masks", api.MasksView.as_view(), name="api-dataset-masks"),
    path("images/masks/remove", api.MasksRemoveView.as_view(), name="api-dataset-masks-remove"),
    path("images/<str:image_id>/crops", api.CropsView.as_view(), name="api-image-crops"),
    path("images/<str:image_id>/crops/<str:kind>", api.CropView.as_view(), name="api-image-crop"),
    path("images/<str:image_id>/look", api.LookView.as_view(), name="api-image-look"),
    path("images/<str:image_id>/mask", capped(api.MaskView.as_view()), name="api-image-mask"),
    path("images/<str:image_id>/mask/back", api.MaskBackView.as_view(), name="api-image-mask-back"),
]
