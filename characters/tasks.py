"""Celery's doorbells for characters, on the `cpu` queue: they carry an id and call one function."""

import shutil
import time
from datetime import timedelta

from django.utils import timezone

from characters import thumbnails
from characters.browse import binning, missing
from characters.doctor import bell
from characters.doctor import services as doctor
from characters.models import ReferenceImage
from isengard import storage
from isengard.celery import app

# A ring is normally answered within a second; what is older was lost.
UNHEARD = timedelta(seconds=30)
BATCH = 200
ABANDONED_SECONDS = 3600


@app.task(name="characters.thumbnail")
def thumbnail(image_id: int) -> None:
    image = ReferenceImage.objects.select_related("character").without_thumbs().filter(pk=image_id).first()
    if image is not None:
        thumbnails.make(image)


@app.task(name="characters.attend")
def attend(character: int) -> None:
    doctor.attend(character=character)


@app.task(name="characters.sweep")
def sweep() -> None:
    """Makes the copies whose ring was lost, empties the bin, and removes what an upload left when it was killed."""
    binning.purge()
    missing.patrol()
    waiting = ReferenceImage.objects.select_related("character").without_thumbs().filter(missing_at=None)
    for image in waiting.filter(created_at__lt=timezone.now() - UNHEARD).order_by("id")[:BATCH]:
        thumbnails.make(image)
    bell.ring(doctor.left_alone())
    folder = storage.absolute("tmp")
    for left in folder.iterdir() if folder.exists() else ():
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
