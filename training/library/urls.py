"""Page addresses of the LoRA library, in the namespace of training. Literal names stand before ids."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from characters.transfer.sending import archived
from training.library import views

# Upload handlers are chosen before anybody reads the body, and the middleware's token check reads it: so it waits.
UPLOAD = csrf_exempt(archived(csrf_protect(views.upload)))

urlpatterns = [
    path("loras", views.library, name="loras"),
    path("loras/upload", UPLOAD, name="upload-lora"),
    path("loras/<id:public_id>", views.detail, name="lora"),
    path("loras/<id:public_id>/change", views.change, name="change-lora"),
    path("loras/<id:public_id>/activate", views.activate, name="activate"),
    path("loras/<id:public_id>/delete", views.delete, name="delete-lora"),
    path("loras/<id:public_id>/restore", views.restore, name="restore-lora"),
    path("training/<id:public_id>/checkpoints/<int:step>/publish", views.publish, name="publish-checkpoint"),
]
