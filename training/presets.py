"""Named sets of training parameters per base model, sized by the number of photos. Knows no database and no request."""

from dataclasses import dataclass, field
from typing import Any

CUSTOM = "custom"
DEFAULT = "portrait"
# The middle of what is usual; a form where nobody is chosen yet is filled in for so many.
USUAL_PHOTOS = 15
ROUND_TO = 50


@dataclass(frozen=True)
class Preset:
    """`values` are the parameters that differ from the base's own defaults; everything else stays at its default.

    `likeness` says what to expect of the result. `own` is the number of a preset that a person saved, None else."""

    key: str
    title: str
    tagline: str
    values: dict[str, Any] = field(default_factory=dict)
    likeness: str = ""
    own: int | None = None


def _pocket(photos: int) -> tuple[Preset, ...]:
    # The portrait is the base's own defaults, which the identity test found (docs/log.md); the others trade steps for
    # likeness and keep what keeps others themselves. So small a base needs no more steps for more photos.
    return (
        Preset("quick", "Quick", "a first likeness in seconds", _every(100, 50, 50), "a hint"),
        Preset("balanced", "Balanced", "good for most", _every(200, 100, 100), "fair"),
        Preset(
            "quality", "High Quality", "larger batches, longer", _every(500, 100, 250) | {"batch_size": 4}, "very good"
        ),
        Preset("portrait", "Portrait", "one face, called only by its name", _every(300, 100, 150), "good"),
    )


def _flux(photos: int) -> tuple[Preset, ...]:
    # Published practice is 27 (Astria) to 160 (FluxGym) steps a photo, 100 to 120 for one face (ai-toolkit's guides);
    # for 15 photos these are the 500, 1000 and 2000 that people know. An average of the steps (0.99) as ai-toolkit's
    # example and Replicate have it.
    return (
        Preset(
            "quick",
            "Quick",
            "fast, for testing",
            _every(_steps(33, photos, 300, 1000), 100, 250)
            | {"learning_rate": 2e-4, "lora_rank": 8, "resolution": 512},
            "a first likeness",
        ),
        Preset(
            "balanced",
            "Balanced",
            "good for most",
            _every(_steps(67, photos, 600, 2000), 100, 250)
            | {"learning_rate": 1e-4, "lora_rank": 16, "resolution": 768},
            "good",
        ),
        Preset(
            "quality",
            "High Quality",
            "best, longer",
            _every(_steps(133, photos, 1200, 4000), 200, 250)
            | {"learning_rate": 5e-5, "lora_rank": 32, "resolution": 1024, "ema_decay": 0.99},
            "very good, with fine detail",
        ),
        Preset(
            "portrait",
            "Portrait",
            "one face, sized to your photos",
            _every(_steps(100, photos, 1200, 3000), 250, 250)
            | {"learning_rate": 1e-4, "lora_rank": 16, "resolution": 768, "ema_decay": 0.99},
            "very good",
        ),
    )


def _steps(each: int, photos: int, least: int, most: int) -> int:
    """So many steps a photo, within bounds and in round numbers."""
    return min(max(round(each * (photos or USUAL_PHOTOS) / ROUND_TO) * ROUND_TO, least), most)


def _every(steps: int, sample: int, checkpoint: int) -> dict[str, Any]:
    return {"steps": steps, "sample_every_n_steps": sample, "checkpoint_every_n_steps": checkpoint}


def presets_for(base: str, photos: int) -> tuple[Preset, ...]:
    """The presets of a base for so many photos (0: not known yet), quickest first and the default last."""
    return _pocket(photos) if base == "pocket" else _flux(photos)


def built_in(base: str, key: str, photos: int) -> Preset | None:
    """The preset called `key` that the studio brings along; "custom" and "" are the one without values."""
    if key in {"", CUSTOM}:
        return Preset(CUSTOM, "Custom", "your own values")
    return next((preset for preset in presets_for(base, photos) if preset.key == key), None)


def label_of(base: str, chosen: Preset, params: dict[str, Any]) -> str:
    """The preset's key while the parameters are still its own, "custom" once one of its values was changed."""
    kept = all(params.get(name) == value for name, value in chosen.values.items())
    return chosen.key if kept else CUSTOM
