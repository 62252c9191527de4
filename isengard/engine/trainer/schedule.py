"""When and how fast: learning rate, what is due at a step, which pictures make a batch. Pure functions, no torch.

Nothing here has a state, so a resumed training does what the uninterrupted one would have done."""

import random
from collections.abc import Sequence


def learning_rate(step: int, peak: float, warmup: int) -> float:
    """The rate of step 1, 2, …: rises linearly over `warmup` steps, then stays."""
    return peak * min(1.0, step / warmup) if warmup else peak


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
