"""Finished pictures are stored beside the drawing: in order, all of them, and what goes wrong is heard."""

import threading
import time

import pytest

from isengard.engine.drawing.saving import MOST, Saver


def test_everything_is_stored_in_the_order_it_was_given() -> None:
    with Saver() as saver:
        for index in range(5):
            saver.put(lambda index=index: {"index": index})
        assert [event["index"] for event in saver.stored()] == [0, 1, 2, 3, 4]


def test_giving_does_not_wait_for_storing() -> None:
    go = threading.Event()
    with Saver() as saver:
        saver.put(lambda: {"went": go.wait(10)})
        go.set()
        assert saver.stored() == [{"went": True}]


def test_a_slow_disk_makes_the_drawing_wait_so_that_memory_holds_few() -> None:
    waiting: list[int] = []
    with Saver() as saver:
        for index in range(MOST + 3):
            saver.put(lambda index=index: {"index": time.sleep(0.02) or index})
            waiting.append(len(saver._waiting))
    assert max(waiting) <= MOST


def test_what_storing_raised_is_raised_where_it_is_asked_for() -> None:
    def full() -> dict[str, object]:
        raise OSError("No space left on device")

    with Saver() as saver:
        saver.put(full)
        with pytest.raises(OSError, match="No space"):
            saver.stored()


def test_leaving_waits_for_what_is_being_stored_although_the_drawing_failed() -> None:
    stored: list[int] = []
    with pytest.raises(RuntimeError), Saver() as saver:
        saver.put(lambda: {"count": time.sleep(0.05) or stored.append(1)})
        raise RuntimeError("out of memory")
    assert stored == [1]
