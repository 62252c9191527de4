"""What a change to photos answers, in their words; without htmx it leads back to the dataset."""

from functools import partial
from typing import Any

from isengard import answers
from isengard.answers import CHANGED, CLOSE, RELISTED, told

__all__ = ["CHANGED", "CLOSE", "RELISTED", "done", "photos", "refresh", "told", "undo_url"]

photos = partial(answers.counted, noun="photo")
undo_url = partial(answers.undo_url, "characters:undo")
done = partial(answers.done, page="dataset")


def refresh(data: Any, *, gone: bool = False) -> tuple[str, ...]:
    """The events after a bulk change, which may have been asked for in a dialog."""
    return (*answers.refresh(data, gone=gone), CLOSE)
