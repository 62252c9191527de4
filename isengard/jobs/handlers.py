"""What a kind of job implements: its engine spec, what an engine event means to the product, how it ends.

All methods run in the worker, never in the web process. Each is given the Job; the fence has been checked by the caller."""

from typing import Any, Protocol

from isengard.jobs.models import Job


class Handler(Protocol):
    def spec(self, job: Job) -> dict[str, Any]:
        """The engine's spec as plain JSON (`isengard.engine.specs` to_dict). DomainError: cannot run, with the reason."""
        ...

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        """An artifact event of the engine (`sample`, `checkpoint`, `preview`, `output`): writes product rows, idempotently.

        Called inside a transaction that holds the job's fence. Returns the payload for the durable JobEvent, or None when
        nothing should be kept (previews that are only shown)."""
        ...

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Writes what the job made; called in the same transaction that completes it. Returns Job.result."""
        ...

    def on_ended(self, job: Job) -> None:
        """After any terminal state, outside the transaction: tidy temporary files. Must be idempotent."""
        ...
