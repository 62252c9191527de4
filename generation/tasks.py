"""Celery's doorbell for pictures, on the `cpu` queue: it calls the gallery's own sweeps."""

from generation.gallery import binning, cleaning
from isengard.celery import app


@app.task(name="generation.sweep")
def sweep() -> None:
    """Empties the bin, then puts into it what the clean-up rule lets go of."""
    binning.purge()
    cleaning.clean()
