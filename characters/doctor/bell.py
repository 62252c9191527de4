"""Tells the doctor that a character's photos have changed. A bell only: it carries an id and may be lost."""

import logging
from collections.abc import Iterable

from kombu.exceptions import OperationalError

from isengard.celery import app

log = logging.getLogger(__name__)

# An upload of many photos rings for each; the doctor begins when nothing has come for that long …
QUIET_SECONDS = 3.0
# … or when the first of them has waited for that long.
PATIENCE_SECONDS = 20.0
EXPIRES_SECONDS = 600


def ring(characters: Iterable[int]) -> None:
    """Asks a cpu worker to see to these characters' photos. A lost ring is found by the sweep."""
    for pk in characters:
        try:
            app.send_task(
                "characters.attend",
                args=[pk],
                queue="cpu",
                countdown=QUIET_SECONDS,
                expires=EXPIRES_SECONDS,
                retry=False,
            )
        except OperationalError as error:
            log.warning("photos left to the sweep: %s", error, extra={"event": "doctor.unheard"})
            return
