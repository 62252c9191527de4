"""Progress inside a picture: a step of many windows moves window by window, and an upscaling network tile by tile."""

import itertools
from collections.abc import Callable

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from isengard.engine import sampling
from isengard.engine.drawing import enlarge
from isengard.engine.drawing.job import Progress
from isengard.engine.pipelines import Registry
from isengard.engine.specs import GenerateSpec
from tests.engine.conftest import Events
from tests.engine.test_drawing_tools import given, spec

__all__ = ["given", "spec"]


@pytest.fixture(autouse=True)
def untamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change is told."""
    monkeypatch.setattr(sampling.Throttle, "__call__", lambda self: True)


def told(events: Events) -> list[tuple[int, int]]:
    return [(event["step"], event["total"]) for event in events.of("progress")]


def steps(progress: Progress, count: int, calls: int) -> None:
    for _ in range(count):
        for _ in range(calls):
            progress.part()
        progress.step()


def test_a_drawing_as_a_whole_counts_its_steps(events: Events) -> None:
    progress = Progress(events, [2])
    progress.begin(0)
    progress.split(0, 2, 1, 1)
    steps(progress, 2, 1)
    assert told(events) == [(1, 2), (2, 2)]


@pytest.mark.parametrize("evaluations", [1, 2])
def test_a_step_in_windows_counts_each_however_often_the_model_is_asked(events: Events, evaluations: int) -> None:
    progress = Progress(events, [2])
    progress.begin(0)
    progress.split(0, 2, 3, evaluations)
    steps(progress, 2, 3 * evaluations)
    assert told(events) == [(done, 6) for done in range(1, 7)]


def test_a_picture_that_fails_within_a_step_leaves_the_count_of_the_next_right(events: Events) -> None:
    progress = Progress(events, [2, 2])
    progress.begin(0)
    progress.split(0, 2, 4, 1)
    progress.part(), progress.part(), progress.finish()
    progress.begin(1)
    progress.split(1, 2, 1, 1)
    steps(progress, 2, 1)
    assert told(events)[-3:] == [(8, 10), (9, 10), (10, 10)]


def test_a_picture_too_large_for_the_base_is_told_window_by_window(
    spec: Callable[..., GenerateSpec], events: Events
) -> None:
    sampling.generate(spec("upscale", scale=2), events, lambda: False, Registry("cpu"))
    done, total = zip(*told(events), strict=True)
    assert done[-1] == total[-1] > 10
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(done))


def test_a_network_has_as_many_tiles_as_it_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[None] = []
    monkeypatch.setattr(enlarge.rrdb, "load", lambda path, device: Twice())
    wide, cpu = Image.new("RGB", (600, 300)), torch.device("cpu")
    enlarge.enlarged(wide, (1200, 600), "x.pth", cpu, lambda: seen.append(None))
    assert len(seen) == enlarge.tiles((600, 300)) == 6


class Twice:
    """A network that shows each pixel four times."""

    scale = 2

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)
