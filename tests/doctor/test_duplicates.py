"""Near-duplicates by hash and light: what belongs together, what does not, and that nothing is missed by the bands."""

import random

from characters.doctor import duplicates
from characters.doctor.duplicates import Print


def print_of(key: int, phash: int, brightness: float = 0.5) -> Print:
    return Print(key, phash, brightness, 0.6)


def test_copies_of_copies_are_one_group() -> None:
    prints = [print_of(1, 0), print_of(2, 0b111111), print_of(3, 0b111111_111111), print_of(4, -1)]
    assert [sorted(group) for group in duplicates.groups(prints)] == [[1, 2, 3]]


def test_the_same_composition_in_another_light_is_no_copy() -> None:
    assert duplicates.groups([print_of(1, 0), print_of(2, 0, brightness=0.7)]) == []


def test_hashes_are_compared_as_64_bits_whatever_their_sign() -> None:
    assert len(duplicates.groups([print_of(1, -1), print_of(2, -2)])) == 1


def test_bands_find_every_pair_that_comparing_all_would() -> None:
    dice = random.Random(4)
    base = [dice.getrandbits(64) for _ in range(20)]
    prints = [print_of(key, base[key % 20] ^ sum(1 << dice.randrange(64) for _ in range(3))) for key in range(200)]
    pairs = {(one.key, other.key) for one in prints for other in prints if one.key < other.key
             and (one.phash ^ other.phash).bit_count() <= 6}  # fmt: skip
    assert {tuple(sorted((one.key, other.key))) for one, other in duplicates.near(prints, 6)} == pairs
