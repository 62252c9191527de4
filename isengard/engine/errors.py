"""What can go wrong inside the engine: a code, a sentence with what to do next, and whether trying again helps."""


class EngineError(Exception):
    """Ends a job with `error {code, message, retryable}`; whatever else escapes is reported as `engine_crashed`."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.retryable = code, message, retryable
