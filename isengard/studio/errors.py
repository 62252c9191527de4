"""The one error the launcher raises: a sentence for the user that says what is wrong and what to do next."""


class StudioError(Exception):
    """Something a person has to change; `str(error)` is one clear sentence and needs no traceback."""
