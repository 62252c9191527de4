"""Which checkpoints keep their files, and why. Pure functions of steps and losses; no files, no torch, no Django.

Kept are pinned ones, the newest (an interrupted training goes on beside it), the one with the lowest loss, and others
as evenly spread over the training as those that are still there allow."""

from collections.abc import Collection, Mapping

PINNED, NEWEST, BEST, SPACED = "pinned", "newest", "lowest loss", "spread over the training"


def keepers(losses: Mapping[int, float | None], pinned: Collection[int], limit: int) -> dict[int, str]:
    """Step → reason, for those of the steps (keys of `losses`: their smoothed loss, None if unknown) that stay.

    `limit` (at least 1) counts those that are not pinned."""
    free = sorted(step for step in losses if step not in pinned)
    reasons = {step: PINNED for step in losses if step in pinned}
    kept = dict.fromkeys(_spread(free, _named(free, losses, limit), reasons, limit), SPACED)
    return dict(sorted({**kept, **_named(free, losses, limit), **reasons}.items()))


def _named(free: list[int], losses: Mapping[int, float | None], limit: int) -> dict[int, str]:
    """The newest, and the best if it is another one and there is room."""
    found = {free[-1]: NEWEST} if free else {}
    rated = [(loss, step) for step in free if (loss := losses[step]) is not None]
    if rated and limit > 1:
        found.setdefault(min(rated)[1], BEST)
    return found


def _spread(free: list[int], named: Collection[int], pinned: Collection[int], limit: int) -> list[int]:
    """What is left of the free ones when, again and again, the one goes that is missed least: whose neighbours on both
    sides (the start of the training counts as one) lie closest together."""
    left = list(free)
    while len(left) > limit:
        around = sorted({0, *left, *pinned})
        left.remove(min((step for step in left if step not in named), key=lambda step: _gap(around, step)))
    return left


def _gap(around: list[int], step: int) -> int:
    place = around.index(step)
    after = around[place + 1] if place + 1 < len(around) else step
    return after - around[place - 1]
