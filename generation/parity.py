"""A training sample as a request of its own: the same weights, words, seed and look, so on one device the same bits.

Services for pages and API; knows no request."""

from pathlib import Path
from typing import Any

from generation import services, wearing
from generation.models import Generation
from generation.wearing import Worn
from isengard import storage
from isengard.engine import catalog, recipe
from isengard.errors import NotFound
from training import repeating
from training.models import Lora, Sample

# How a training's base computes, where the base leaves a choice: a sample is repeated only by the same.
COMPUTING = ("precision", "quantize")
# In place of the sample's own, which may hold what stands for a choice elsewhere.
WORDS = "sample"


def repeat(*, sample: Sample, correlation_id: str = "") -> Generation:
    """Queues the picture that the sample shows. Its words stay as they are: a sample without the trigger has none.

    Invalid: its weights were not kept, or do not fit any more. NotFound: its file is gone. Unavailable: the base."""
    made = _recipe(sample)
    asked = services.Asked(
        prompt=WORDS,
        worn=_worn(sample),
        base=sample.run.base,
        values=_look(sample, made),
        seed=sample.seed,
        strength=1.0,
    )
    fields = services.prepared(asked)
    words = {"prompt": sample.prompt, "variants": [], "written": {**fields["written"], "prompt": sample.prompt}}
    return services.submit({**fields, **words, "character": sample.run.character}, correlation_id)


def _worn(sample: Sample) -> Worn | None:
    weights = repeating.weights(sample)
    if weights is None:
        return None
    return wearing.of_lora(weights) if isinstance(weights, Lora) else wearing.of_checkpoint(weights)


def _recipe(sample: Sample) -> dict[str, Any]:
    found = recipe.read_png(Path(storage.absolute(sample.file)))
    if found is None:
        raise NotFound("not_found", "The file of this sample is gone, and with it how it was drawn.")
    return found


def _look(sample: Sample, made: dict[str, Any]) -> dict[str, Any]:
    known = {param.name for param in catalog.generation_params(sample.run.base)}
    values = {"width": sample.width, "height": sample.height}
    values |= {name: made[name] for name in ("steps", "guidance_scale")}
    values |= {name: sample.run.params[name] for name in COMPUTING if name in sample.run.params}
    return {name: value for name, value in values.items() if name in known}
