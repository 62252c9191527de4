"""Addresses of the photo page and its panels, below /photos/. Each panel's package adds its own line."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from characters.browse import views as browse
from characters.captions import views as captions
from characters.doctor import views as doctor
from characters.framing import views as framing
from characters.uploads import capped

# As for photos: what caps an upload must come before the token check, which reads the body.
MASK = csrf_exempt(capped(csrf_protect(framing.mask)))

app_name = "photos"
urlpatterns = [
    path("<id:public_id>", browse.photo_page, name="page"),
    path("<id:public_id>/delete", browse.photo_delete, name="delete"),
    path("<id:public_id>/verdict", doctor.verdict, name="verdict"),
    path("<id:public_id>/verdict/check", doctor.check_photo, name="check"),
    path("<id:public_id>/verdict/keep", doctor.keep, name="verdict-keep"),
    path("<id:public_id>/verdict/fix", doctor.fix, name="verdict-fix"),
    path("<id:public_id>/caption", captions.panel, name="caption"),
    path("<id:public_id>/caption/versions", captions.versions, name="caption-versions"),
    path("<id:public_id>/caption/versions/<int:number>", captions.restore, name="caption-restore"),
    path("<id:public_id>/tags", browse.photo_tags, name="tags"),
    path("<id:public_id>/crop", framing.crop, name="crop"),
    path("<id:public_id>/look", framing.look, name="look"),
    path("<id:public_id>/mask", MASK, name="mask"),
    path("<id:public_id>/mask.png", framing.mask_image, name="mask-image"),
]
