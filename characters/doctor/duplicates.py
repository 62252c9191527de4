"""Photos that are nearly the same, by their perceptual hashes. Numbers only; copies.py acts on them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from characters.doctor import thresholds as limits

MASK = 2**64 - 1


@dataclass(frozen=True)
class Print:
    """What two photos are compared by."""

    key: int
    phash: int
    brightness: float
    contrast: float


def groups(prints: Sequence[Print]) -> list[list[int]]:
    """Keys of photos that are copies of each other (or of a third one), two and more at a time."""
    leader = {one.key: one.key for one in prints}

    def find(key: int) -> int:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for one, other in near(prints, limits.DUPLICATE_BITS):
        if _same_light(one, other):
            leader[find(one.key)] = find(other.key)
    found: dict[int, list[int]] = defaultdict(list)
    for one in prints:
        found[find(one.key)].append(one.key)
    return [keys for keys in found.values() if len(keys) > 1]


def _same_light(one: Print, other: Print) -> bool:
    return (
        abs(one.brightness - other.brightness) <= limits.DUPLICATE_BRIGHTNESS
        and abs(one.contrast - other.contrast) <= limits.DUPLICATE_CONTRAST
    )


def near(prints: Sequence[Print], bits: int) -> Iterator[tuple[Print, Print]]:
    """Every pair whose hashes differ in at most `bits`, once.

    Cut into one band more than that, two such hashes share at least one band unchanged: so only photos that do are
    compared, and ten thousand photos take a second instead of minutes."""
    bands = bits + 1
    edges = [64 * band // bands for band in range(bands + 1)]
    seen: set[tuple[int, int]] = set()
    for low, high in pairwise(edges):
        shelf: dict[int, list[Print]] = defaultdict(list)
        for one in prints:
            part = (one.phash >> low) & ((1 << (high - low)) - 1)
            for other in shelf[part]:
                pair = (other.key, one.key)
                if pair not in seen and ((one.phash ^ other.phash) & MASK).bit_count() <= bits:
                    seen.add(pair)
                    yield other, one
            shelf[part].append(one)
