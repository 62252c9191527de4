"""Named sets of training parameters per base model, sized by the number of photos. Knows no database and no request."""

from dataclasses import dataclass, field
from typing import Any

from isengard.errors import Invalid

CUSTOM = "custom"
DEFAULT = "portrait"


@dataclass(frozen=True)
class Preset:
    """`values` are the parameters that differ from the base's own defaults; everything else stays at its default."""

    key: str
    title: str
    tagline: str
    values: dict[str, Any] = field(default_factory=dict)


def _pocket(photos: int) -> tuple[Preset, ...]:
    # The portrait is the base's own defaults, which the identity test found (docs/log.md); the others trade steps for
    # likeness and keep what keeps others themselves.
    return (
        Preset("quick", "Quick", "a first likeness in seconds", _every(100, 50, 50)),
        Preset("balanced", "Balanced", "good for most", _every(200, 100, 100)),
        Preset("quality", "High Quality", "larger batches, longer", _every(500, 100, 250) | {"batch_size": 4}),
        Preset("portrait", "Portrait", "one face, called only by its name", _every(300, 100, 150)),
    )


def _flux(photos: int) -> tuple[Preset, ...]:
    # 100 steps a photo, kept between 1200 and 3000 (the middle of published practice: 27 to 160 a photo).
    portrait = _every(min(max(100 * photos, 1200), 3000), 250, 250)
    return (
        Preset(
            "quick",
            "Quick",
            "fast, for testing",
            _every(500, 100, 250) | {"learning_rate": 2e-4, "lora_rank": 8, "resolution": 512},
        ),
        Preset(
            "balanced",
            "Balanced",
            "good for most",
            _every(1000, 100, 250) | {"learning_rate": 1e-4, "lora_rank": 16, "resolution": 768},
        ),
        Preset(
            "quality",
            "High Quality",
            "best, longer",
            _every(2000, 200, 250) | {"learning_rate": 5e-5, "lora_rank": 32, "resolution": 1024},
        ),
        Preset(
            "portrait",
            "Portrait",
            "one face, sized to your photos",
            portrait | {"learning_rate": 1e-4, "lora_rank": 16, "resolution": 768},
        ),
    )


def _every(steps: int, sample: int, checkpoint: int) -> dict[str, Any]:
    return {"steps": steps, "sample_every_n_steps": sample, "checkpoint_every_n_steps": checkpoint}


def presets_for(base: str, photos: int) -> tuple[Preset, ...]:
    """The presets of a base model for a set of `photos` pictures, quickest first and the default last."""
    return _pocket(photos) if base == "pocket" else _flux(photos)


def named(base: str, key: str, photos: int) -> Preset:
    """The preset called `key`; "custom" and "" are the one without values. Invalid: no such preset."""
    if key in {"", CUSTOM}:
        return Preset(CUSTOM, "Custom", "your own values")
    for preset in presets_for(base, photos):
        if preset.key == key:
            return preset
    known = ", ".join(preset.key for preset in presets_for(base, photos))
    raise Invalid("unknown_preset", f"There is no preset called {key!r}. Choose one of {known}, or custom.")


def label_of(base: str, chosen: Preset, params: dict[str, Any]) -> str:
    """The preset's key while the parameters are still its own, "custom" once one of its values was changed."""
    kept = all(params.get(name) == value for name, value in chosen.values.items())
    return chosen.key if kept else CUSTOM
