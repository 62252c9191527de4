"""Celery's doorbell for LoRAs, on the `cpu` queue: it calls the library's own sweep."""

from isengard.celery import app
from training.library import binning


@app.task(name="training.sweep")
def sweep() -> None:
    """Erases the files of versions that were deleted and not brought back."""
    binning.purge()
