"""What can go wrong as a user sees it: a stable code, a sentence that says what to do next, an HTTP status."""


class DomainError(Exception):
    """Raised by services, shown alike by the HTML pages (a toast) and the JSON API (`{"detail", "code"}`)."""

    status = 400

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = status or self.status


class NotFound(DomainError):
    status = 404


class Invalid(DomainError):
    status = 400


class NotAllowed(DomainError):
    status = 403


class Conflict(DomainError):
    """The request is fine but the object is in a state that does not allow it (the original answers 400 here)."""

    status = 400


class Unavailable(DomainError):
    """Something the studio needs is missing now: a model that is not on disk, a feature without its worker."""

    status = 503
