"""API addresses of the doctor, below /api/. Literal names stand before ids."""

from django.urls import path

from characters.doctor import api

urlpatterns = [
    path("images/examine", api.ExamineImagesView.as_view(), name="api-dataset-examine"),
    path("images/<str:image_id>/examination", api.ExaminationView.as_view(), name="api-image-examination"),
    path("characters/<str:character_id>/examine", api.ExamineView.as_view(), name="api-character-examine"),
]
