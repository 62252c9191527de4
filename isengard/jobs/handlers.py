"""What a kind of job implements: its engine spec, what an engine event means to the product, how it ends.

`spec`, `on_event` and `finish` run in the worker; the rest also where a user acts. Each is given the Job."""

from datetime import datetime
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from isengard.jobs.models import Job


class Artifact(TypedDict):
    """A file a job made, as the API lists it. `key` is its storage key and never leaves the server.

    `url` only where the product has an address of its own for it (a finished LoRA, a picture)."""

    name: str
    type: Literal["sample", "checkpoint", "model", "output"]
    key: str
    size_bytes: int
    created_at: datetime
    step: int | None
    url: NotRequired[str]


class Handler(Protocol):
    def spec(self, job: Job) -> dict[str, Any]:
        """The engine's spec as plain JSON (`isengard.engine.specs` to_dict), resuming from the newest state there is.

        DomainError or EngineError: cannot run, with the reason."""
        ...

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        """An artifact event of the engine (`sample`, `checkpoint`, `output`): writes product rows, idempotently.

        Called inside a transaction that holds the job's fence. Returns the payload for the durable JobEvent, or None
        when nothing should be kept. Also called for `preview`, outside of one: its payload is shown and forgotten."""
        ...

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Writes what the job made; called in the same transaction that completes it. Returns Job.result."""
        ...

    def on_ended(self, job: Job) -> None:
        """After any terminal state, outside the transaction: tidy temporary files. Must be idempotent."""
        ...

    def resubmit(self, job: Job) -> Job:
        """A new product row and a new Job (`services.submit(..., retry_of=job)`) that ask for the same again."""
        ...

    def on_removed(self, job: Job) -> None:
        """The job's rows are gone: delete the files that hung on it. Must be idempotent and read no row."""
        ...

    def artifacts(self, job: Job) -> list[Artifact]:
        """The files the job has made so far, oldest first."""
        ...
