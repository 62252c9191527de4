"""How fast a job goes and how long it will take, smoothed. Plain arithmetic."""

import math
from dataclasses import dataclass

# Seconds over which older speed fades: long enough to swallow a sample picture, short enough to follow a change.
FADE = 20.0


@dataclass
class Pace:
    speed: float | None = None
    _step: int = 0
    _at: float | None = None

    def update(self, step: int, now: float) -> None:
        """Takes in that `step` was reached at `now` (monotonic seconds). A step back starts afresh: a
        resumed job, or another thing that is counted."""
        if self._at is None or step < self._step:
            self.speed, self._step, self._at = None, step, now
            return
        seconds = now - self._at
        if step == self._step or seconds <= 0:
            return
        fresh = (step - self._step) / seconds
        weight = 1 - math.exp(-seconds / FADE)
        self.speed = fresh if self.speed is None else self.speed + weight * (fresh - self.speed)
        self._step, self._at = step, now

    def eta(self, total: int) -> float | None:
        """Seconds to the last step, or None while the speed is unknown."""
        if not self.speed or total < self._step:
            return None
        return (total - self._step) / self.speed
