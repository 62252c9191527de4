"""The start form: whom, which preset, on what, and every knob the base's trainer reads."""

import json
from typing import Any

from django import forms

from characters.models import Character
from isengard.engine import catalog
from isengard.forms import field_for, initial, values
from training import presets

MAIN = ("steps", "resolution")
SAMPLING = ("sample_every_n_steps", "sample_count", "checkpoint_every_n_steps", "max_checkpoints")
SYNTHETIC = [("use", "Train on them, too"), ("leave", "Leave them out")]
SELECT = {"class": "form-select"}
OWN = (*MAIN, *SAMPLING, "sample_prompts")


class CharacterField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Character) -> str:
        return f"{obj.name} ({obj.trigger_word})"


class StartForm(forms.Form):
    """Built for one base and a number of photos; unknown bases must have been refused before."""

    def __init__(self, *args: Any, base: str, photos: int, **kwargs: Any) -> None:
        # The ids are the names, as the original's pages have them.
        super().__init__(*args, **{"auto_id": "%s", **kwargs})
        self.base = catalog.get(base)
        self.params = catalog.training_params(base)
        self.presets = presets.presets_for(base, photos)
        self.fields["character"] = CharacterField(
            Character.objects.with_photos().newest_first(),
            to_field_name="public_id",
            empty_label="Select character…",
            error_messages={
                "required": "Choose whom to train.",
                "invalid_choice": "This character is gone or has no photos. Add 10 to 20 photos, then train.",
            },
            widget=forms.Select(
                {"class": "form-select", "data-testid": "character-select", "data-enables": "#start-button"}
            ),
        )
        self.fields["synthetic"] = forms.ChoiceField(choices=SYNTHETIC, required=False, widget=forms.Select(SELECT))
        self.fields["preset"] = forms.CharField(required=False, initial=presets.DEFAULT)
        for param in self.params:
            self.fields[param.name] = field_for(param)
        if not self.is_bound:
            self.initial = {**self._preset_values(presets.DEFAULT), **self.initial}

    def _preset_values(self, key: str) -> dict[str, Any]:
        chosen = next(preset for preset in self.presets if preset.key == key)
        return {param.name: chosen.values.get(param.name, initial(param)) for param in self.params}

    def tiles(self) -> list[dict[str, Any]]:
        """The presets with the values that a tile fills in; prompts stay as the user wrote them."""
        return [
            {
                "preset": preset,
                "json": json.dumps({k: v for k, v in self._preset_values(preset.key).items() if k != "sample_prompts"}),
                "checked": self["preset"].value() == preset.key,
                "recommended": preset.key == presets.DEFAULT,
            }
            for preset in self.presets
        ]

    def sampling_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in SAMPLING]

    def expert_fields(self) -> list[forms.BoundField]:
        return [self[param.name] for param in self.params if param.name not in OWN]

    def sampling_wrong(self) -> bool:
        """A section with an error must not be shut."""
        return any(self[name].errors for name in (*SAMPLING, "sample_prompts"))

    def expert_wrong(self) -> bool:
        return any(field.errors for field in self.expert_fields())

    def with_synthetic(self) -> bool:
        """Whether pictures that the studio made are trained on, too; so unless the user says no."""
        return str(self["synthetic"].value()) != "leave"

    def training_values(self) -> dict[str, Any]:
        return values(self.params, self.cleaned_data)
