"""When and how fast: learning rate, what is due at a step, which pictures make a batch. Pure functions, no torch.

Nothing here has a state, so a resumed training does what the uninterrupted one would have done."""

import math
import random
from collections.abc import Callable, Sequence

# What is left of the peak rate after a share (0 … 1) of the steps. The last step still learns a little.
LEAST = 0.02
SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda _gone: 1.0,
    "linear": lambda gone: max(LEAST, min(1.0, 2 * (1 - gone))),
    "cosine": lambda gone: max(LEAST, 0.5 + 0.5 * math.cos(math.pi * gone)),
}


def learning_rate(step: int, peak: float, warmup: int, shape: str, last: int) -> float:
    """The rate of step 1 … last: rises linearly over `warmup` steps, then falls as `shape` (a key of SHAPES) says.

    constant stays at the peak; linear stays until half of the steps and then falls in a line; cosine falls as half a
    wave over all steps."""
    rising = min(1.0, step / warmup) if warmup else 1.0
    return peak * rising * SHAPES[shape](min(1.0, step / last))


def is_due(step: int, every: int, last: int) -> bool:
    """Every so many steps (0: never between), and always at the last step."""
    return step == last or (every > 0 and step % every == 0)


def epoch_batches(buckets: Sequence[Sequence[int]], size: int, seed: int, epoch: int) -> list[list[int]]:
    """One pass over all pictures in batches of one bucket each, in an order that only (seed, epoch) decides.

    A bucket's last batch is filled up with its own pictures, so every batch is full and no picture is ever left out."""
    chooser = random.Random(f"{seed} {epoch}")
    batches = []
    for bucket in buckets:
        order = list(bucket)
        chooser.shuffle(order)
        batches += [[order[(start + i) % len(order)] for i in range(size)] for start in range(0, len(order), size)]
    chooser.shuffle(batches)
    return batches


class BatchPlan:
    """Random access to the batches of a training: number 0, 1, … → indices of pictures of one shape."""

    def __init__(self, buckets: Sequence[Sequence[int]], size: int, seed: int) -> None:
        self._buckets, self._size, self._seed = buckets, size, seed
        self._epoch, self._batches = 0, epoch_batches(buckets, size, seed, 0)

    def __getitem__(self, number: int) -> list[int]:
        epoch, place = divmod(number, len(self._batches))
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, epoch_batches(self._buckets, self._size, self._seed, epoch)
        return self._batches[place]
