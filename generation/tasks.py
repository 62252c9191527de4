"""Celery's doorbell for pictures, on the `cpu` queue: it calls the app's own sweeps."""

from generation import inputs
from generation.gallery import binning, cleaning
from isengard.celery import app


@app.task(name="generation.sweep")
def sweep() -> None:
    """Empties the bin, puts into it what the clean-up rule lets go of, and forgets inputs that nothing uses."""
    binning.purge()
    cleaning.clean()
    inputs.sweep()
