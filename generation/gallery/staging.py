"""Training pictures of a character, made by itself: asked for, looked at one by one, kept among its photos or thrown
away. None is trained on before somebody has kept it. Knows no request."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from characters.captions.text import PLACEHOLDER
from characters.models import Character
from generation import keeping, services
from generation.gallery import binning
from generation.models import Generation, Output
from isengard.binning import Binned

MOST = 8
# Framing and setting differ from picture to picture, or a training would learn one of them as a part of the person.
PROMPT = (
    f"a photo of {PLACEHOLDER}, {{close-up portrait|half body|full body}}, {{indoors|outdoors|in a street|in a park}}"
)


@dataclass(frozen=True)
class Kept:
    """How many became photos, and how many were among them already."""

    added: int
    known: int


def start(*, character: Character, prompt: str = "", count: int = 4, correlation_id: str = "") -> Generation:
    """Queued training pictures, drawn with the character's active LoRA. Raises as `start_generation` does."""
    words = prompt.strip() or PROMPT
    asked: dict[str, Any] = {"purpose": Generation.Purpose.SYNTHETIC, "seeds": "random"}
    return services.start_generation(
        prompt=words, character=character, count=count, correlation_id=correlation_id, **asked
    )


def requests(character: Character) -> QuerySet[Generation]:
    """Newest first."""
    found = Generation.objects.filter(character=character, purpose=Generation.Purpose.SYNTHETIC)
    return found.order_by("-job_id")


def waiting(character: Character) -> QuerySet[Output]:
    """Made and neither kept nor thrown away, newest first."""
    made = Output.objects.filter(generation__in=requests(character), verdict="")
    return made.select_related("generation__job", "generation__character").order_by("-pk")


def keep(outputs: QuerySet[Output]) -> Kept:
    """Copies pictures to their characters' photos, in the order they were made. Raises as `keep_as_photo` does; those
    before the one that failed stay kept."""
    ups = [keeping.keep_as_photo(output=output) for output in outputs.select_related(*RELATED).order_by("pk")]
    added = sum(up.added for up in ups)
    return Kept(added, len(ups) - added)


RELATED = ("generation__job", "generation__character")


def discard(outputs: QuerySet[Output]) -> Binned:
    """Into the bin, with a minute to take it back."""
    with transaction.atomic():
        keys = list(outputs.order_by().values_list("pk", flat=True))
        chosen = Output.objects.filter(pk__in=keys)
        chosen.update(verdict=Output.Verdict.DISCARDED)
        return binning.bin_outputs(chosen)
