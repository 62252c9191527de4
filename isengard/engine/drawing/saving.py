"""Stores finished pictures beside the drawing of the next ones: a PNG of a megapixel takes a fifth of a second to pack.

Knows what it is told to do and in which order; no picture, no model."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from isengard.engine.events import Event

# Pictures that may wait in memory; the drawing waits for a slower disk.
MOST = 2


class Saver:
    """One after the other, in the order given. Leaving waits for all of them, whatever went wrong meanwhile."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "saving")
        self._waiting: deque[Future[Event]] = deque()
        self._done: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(wait=True)

    def put(self, store: Callable[[], Event]) -> None:
        """Does `store` soon. Raises what an earlier one raised."""
        while len(self._waiting) >= MOST or (self._waiting and self._waiting[0].done()):
            self._done.append(self._waiting.popleft().result())
        self._waiting.append(self._thread.submit(store))

    def stored(self) -> list[Event]:
        """What all of them gave, once all are done. Raises what one raised."""
        while self._waiting:
            self._done.append(self._waiting.popleft().result())
        return self._done
