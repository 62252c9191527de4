"""Page addresses of the doctor, in the namespace of characters."""

from django.urls import path

from characters.doctor import views

urlpatterns = [
    path("dataset/examine", views.check_selection, name="examine-images"),
    path("dataset/examine/<id:public_id>", views.task, name="examine-task"),
    path("characters/<id:public_id>/doctor", views.panel, name="doctor"),
    path("characters/<id:public_id>/doctor/check", views.check_all, name="doctor-check"),
    path("characters/<id:public_id>/doctor/keep-best", views.keep_best, name="doctor-keep-best"),
]
