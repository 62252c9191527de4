"""Every kind of job: its label, who handles it (dotted path, imported on first use), its lane, where it runs."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from isengard.jobs.handlers import Handler


@dataclass(frozen=True)
class Kind:
    label: str
    handler: str
    lane: Literal["gpu", "cpu"]
    prefix: str
    priority: int
    # Seconds an engine gets to save and leave after a stop before it is terminated.
    stop_grace: float
    # Training starts in a fresh engine process; pictures share a warm one.
    fresh_engine: bool
    # URL name of the page that shows such a job; takes the public id.
    page: str
    # What a running one can be asked to do besides (the engine's `ask`): save, sample.
    answers: frozenset[str] = frozenset()


KINDS: dict[str, Kind] = {
    "training": Kind(
        "Training",
        "training.handlers.TrainingHandler",
        "gpu",
        "train",
        5,
        60.0,
        True,
        "training:detail",
        frozenset({"save", "sample"}),
    ),
    "generation": Kind(
        "Pictures", "generation.handlers.GenerationHandler", "gpu", "gen", 1, 2.0, False, "generation:detail"
    ),
    "caption": Kind(
        "Captions",
        "characters.captions.handlers.CaptionHandler",
        "gpu",
        "data",
        3,
        10.0,
        False,
        "characters:caption-task",
    ),
    "examine": Kind(
        "Photo check",
        "characters.doctor.handlers.ExamineHandler",
        "cpu",
        "data",
        3,
        10.0,
        False,
        "characters:examine-task",
    ),
    "mask": Kind(
        "Masks", "characters.framing.handlers.MaskHandler", "cpu", "data", 5, 10.0, False, "characters:mask-task"
    ),
    "import": Kind(
        "Import",
        "characters.transfer.handlers.ImportHandler",
        "cpu",
        "data",
        5,
        10.0,
        False,
        "characters:import-result",
    ),
}


def handler_for(kind: str) -> "Handler":
    """The handler of a kind. KeyError: no such kind."""
    module, _, name = KINDS[kind].handler.rpartition(".")
    handler: Handler = getattr(import_module(module), name)()
    return handler
