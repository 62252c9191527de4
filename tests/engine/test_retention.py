"""Which checkpoints stay: the newest, the best, the pinned, and others spread over the training."""

from itertools import pairwise
from pathlib import Path

from isengard.engine import retention, rundir
from isengard.engine.retention import BEST, NEWEST, PINNED, SPACED, keepers


def falling(*steps: int) -> dict[int, float | None]:
    return {step: 1.0 / step for step in steps}


def grown(last: int, every: int, limit: int, pinned: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    """What is left at the end when the policy worked at every checkpoint."""
    left: list[int] = []
    for step in range(every, last + 1, every):
        left = list(retention.keepers(dict.fromkeys([*left, step]), pinned, limit))
    return left


def test_nothing_goes_while_there_is_room() -> None:
    assert list(keepers(falling(100, 200), set(), 3)) == [100, 200]


def test_with_room_for_one_the_newest_stays() -> None:
    assert keepers({100: 0.1, 200: 0.9}, set(), 1) == {200: NEWEST}


def test_the_lowest_loss_stays_beside_the_newest() -> None:
    assert keepers({100: 0.5, 200: 0.1, 300: 0.4}, set(), 2) == {200: BEST, 300: NEWEST}


def test_a_checkpoint_whose_loss_nobody_knows_is_never_the_best() -> None:
    assert keepers({100: None, 200: 0.3, 300: 0.4}, set(), 2) == {200: BEST, 300: NEWEST}


def test_a_pinned_one_stays_and_takes_nobodys_place() -> None:
    kept = keepers(falling(100, 200, 300, 400), {100}, 2)
    assert kept == {100: PINNED, 300: SPACED, 400: NEWEST}


def test_what_is_left_of_a_long_training_is_spread_over_it() -> None:
    left = [0, *grown(3000, 100, 5)]
    gaps = [after - before for before, after in pairwise(left)]
    assert len(left) == 6 and max(gaps) <= 2.5 * 3000 / 5


def test_pins_are_read_as_they_were_written(tmp_path: Path) -> None:
    rundir.pin(tmp_path, [300, 100])
    assert rundir.pinned(tmp_path) == {100, 300}


def test_a_damaged_list_of_pins_pins_nothing(tmp_path: Path) -> None:
    (tmp_path / "pinned.json").write_text('{"steps":')
    assert rundir.pinned(tmp_path) == set()
