"""What is told of an error that a handler did not foresee."""

import errno

from isengard.jobs.runner import Failure


def test_a_disk_that_fills_up_under_a_handler_is_called_so() -> None:
    told = Failure.unknown(OSError(errno.ENOSPC, "No space left on device"))
    assert (told.code, told.retryable, "Free some space" in told.message) == ("disk_full", True, True)


def test_any_other_error_is_named() -> None:
    told = Failure.unknown(KeyError("prompt"))
    assert (told.code, "KeyError" in told.message) == ("internal_error", True)
