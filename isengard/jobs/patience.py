"""Waiting for the database to come back, so that its restart costs a running job nothing. Knows nothing of jobs."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

FIRST_WAIT, LONGEST_WAIT, PATIENCE = 0.2, 5.0, 600.0


def patiently(act: Callable[[], Result]) -> Result:
    """`act()` again until the database answers; it must do all its writing in one transaction of its own.

    OperationalError or InterfaceError: the database was away for ten minutes."""
    wait, end = FIRST_WAIT, time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or time.monotonic() > end:
                raise
            logger.warning("Waiting for the database: %s", error)
            connection.close()
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
