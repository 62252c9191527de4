"""Settings that people kept under names of their own, beside the presets that the studio brings. Knows no request."""

from typing import Any

from django.db import IntegrityError, transaction

from isengard.engine import catalog
from isengard.engine.params import BadParam
from isengard.errors import Conflict, Invalid
from training import presets
from training.models import UserPreset
from training.presets import Preset

LONGEST_NAME = 40
# Words for the pictures of one training, not a way to train.
NOT_KEPT = {"sample_prompts"}


def named(base: str, key: str, photos: int) -> Preset:
    """The preset of that name, the studio's or a person's. Invalid: there is none."""
    if (found := presets.built_in(base, key, photos)) is not None:
        return found
    own = UserPreset.objects.filter(base=base, name=key).first()
    if own is None:
        known = ", ".join(preset.key for preset in (*presets.presets_for(base, photos), *own_for(base)))
        raise Invalid("unknown_preset", f"There is no preset called {key!r}. Choose one of {known}, or custom.")
    return _preset(own)


def own_for(base: str) -> list[Preset]:
    """What people saved for a base model, by name."""
    return [_preset(row) for row in UserPreset.objects.filter(base=base)]


def _preset(row: UserPreset) -> Preset:
    """Without the knobs, or values of them, that the base does not have any more."""
    values: dict[str, Any] = {}
    for param in catalog.training_params(row.base):
        if param.name in row.values:
            try:
                values[param.name] = param.clean(row.values[param.name])
            except BadParam:
                continue
    return Preset(row.name, row.name, "saved by you", values, own=row.pk)


def save(*, base: str, name: str, params: dict[str, Any]) -> UserPreset:
    """Keeps what of these complete parameters differs from the base's defaults. Invalid: no name to keep it under.

    Conflict: there is a preset of that name for this base."""
    differing = {
        param.name: params[param.name]
        for param in catalog.training_params(base)
        if param.name not in NOT_KEPT and params[param.name] != param.default
    }
    try:
        with transaction.atomic():
            return UserPreset.objects.create(base=base, name=_name(base, name), values=differing)
    except IntegrityError:
        raise _taken(name) from None


def rename(*, preset: UserPreset, name: str) -> UserPreset:
    """Invalid and Conflict as for a new one. Trainings that were started with it keep the old name."""
    preset.name = _name(preset.base, name)
    try:
        with transaction.atomic():
            preset.save(update_fields=["name"])
    except IntegrityError:
        raise _taken(name) from None
    return preset


def delete(*, preset: UserPreset) -> None:
    """Trainings that were started with it keep their settings."""
    preset.delete()


def _taken(name: str) -> Conflict:
    return Conflict("name_taken", f"You have a preset called {' '.join(name.split())!r} already. Choose another name.")


def _name(base: str, name: str) -> str:
    clean = " ".join(name.split())
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise Invalid("bad_name", f"A preset's name has 1 to {LONGEST_NAME} characters that can be shown.")
    offered = {word for preset in presets.presets_for(base, 0) for word in (preset.key, preset.title.lower())}
    if clean.lower() in {*offered, presets.CUSTOM}:
        raise Invalid("bad_name", f"{clean!r} is a preset of the studio. Choose another name.")
    return clean
