"""The start form: whom, which preset, on what, and every knob the base's trainer reads."""

import json
from collections.abc import Iterator
from typing import Any

from django import forms

from characters.models import Character
from isengard.engine import catalog, parameters
from isengard.forms import CONTROL, field_for, initial, values
from training import planning, presets, sweeps, user_presets
from training.continuing import settings_of
from training.models import Lora
from training.presets import Preset

MAIN = ("steps", "resolution")
SAMPLING = ("sample_every_n_steps", "sample_count", "checkpoint_every_n_steps", "max_checkpoints")
SYNTHETIC = [("use", "Train on them, too"), ("leave", "Leave them out")]
SELECT = {"class": "form-select"}
OWN = (*MAIN, *SAMPLING, "sample_prompts")
GRID = ("grid_1", "grid_2")


class CharacterField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Character) -> str:
        return f"{obj.name} ({obj.trigger_word})"


class StartForm(forms.Form):
    """Built for one base and a number of photos; unknown bases must have been refused before. `lora`: what the new
    version begins from."""

    def __init__(self, *args: Any, base: str, photos: int, lora: Lora | None = None, **kwargs: Any) -> None:
        # The ids are the names, as the original's pages have them.
        super().__init__(*args, **{"auto_id": "%s", **kwargs})
        self.base = catalog.get(base)
        self.params = catalog.training_params(base)
        self.photos, self.lora = photos, lora
        self.presets = (*presets.presets_for(base, photos), *user_presets.own_for(base))
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
        choices = [("", "nothing"), *((param.name, param.label) for param in sweeps.comparable(base))]
        for name in GRID:
            self.fields[name] = forms.ChoiceField(choices=choices, required=False, widget=forms.Select(SELECT))
            self.fields[f"{name}_values"] = forms.CharField(
                required=False, max_length=300, widget=forms.TextInput({**CONTROL, "placeholder": "1e-4, 2e-4"})
            )
        if not self.is_bound:
            self._fill_in()

    def _fill_in(self) -> None:
        """The values of the preset asked for; a new version begins with the settings that made the LoRA."""
        if self.lora is not None:
            made = settings_of(self.lora)
            prompts = {"sample_prompts": "\n".join(made["sample_prompts"])} if made.get("sample_prompts") else {}
            self.initial = {"preset": presets.CUSTOM, **made, **prompts, **self.initial}
        asked = str(self.initial.get("preset", ""))
        known = any(preset.key == asked for preset in self.presets)
        key = asked if known or asked == presets.CUSTOM else presets.DEFAULT
        base = self._values_of(next(preset for preset in self.presets if preset.key in {key, presets.DEFAULT}))
        chosen = next((self._values_of(preset) for preset in self.presets if preset.key == key), base)
        self.initial = {**chosen, **self.initial, "preset": key}

    def _values_of(self, preset: Preset) -> dict[str, Any]:
        found = {param.name: preset.values.get(param.name, initial(param)) for param in self.params}
        if self.lora is not None:
            found["lora_rank"] = max(found["lora_rank"], self.lora.rank)
            found["lora_layers"] = settings_of(self.lora).get("lora_layers", found["lora_layers"])
        return found

    def tiles(self) -> list[dict[str, Any]]:
        """The presets with what they mean here, and the values that a tile fills in; prompts stay as they were."""
        outlook = planning.Outlook(self.base.key)
        return [self._tile(preset, outlook) for preset in self.presets]

    def _tile(self, preset: Preset, outlook: planning.Outlook) -> dict[str, Any]:
        found = self._values_of(preset)
        steps = parameters.steps_of(found, self.photos or presets.USUAL_PHOTOS)
        return {
            "preset": preset,
            "json": json.dumps({name: value for name, value in found.items() if name != "sample_prompts"}),
            "checked": self["preset"].value() == preset.key,
            "recommended": preset.key == presets.DEFAULT,
            "steps": steps,
            "seconds": outlook.seconds({**found, "steps": steps}, self.photos or presets.USUAL_PHOTOS),
        }

    def own_presets(self) -> list[Preset]:
        return [preset for preset in self.presets if preset.own is not None]

    def sampling_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in SAMPLING]

    def expert_fields(self) -> list[forms.BoundField]:
        return [self[param.name] for param in self.params if param.name not in OWN]

    def grid_fields(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return [(self[name], self[f"{name}_values"]) for name in GRID]

    def axes(self) -> dict[str, list[str]]:
        """The grid of trainings to start, parameter → values; empty when it is one training."""
        return dict(self._axes())

    def _axes(self) -> Iterator[tuple[str, list[str]]]:
        for name in GRID:
            said = [word.strip() for word in self.cleaned_data.get(f"{name}_values", "").split(",")]
            if self.cleaned_data.get(name) and any(said):
                yield self.cleaned_data[name], [word for word in said if word]

    def clean(self) -> dict[str, Any]:
        """A grid that is only half said is no single training."""
        said = super().clean() or self.cleaned_data
        for name in GRID:
            if said.get(name) and not said.get(f"{name}_values", "").strip():
                self.add_error(f"{name}_values", "Say which values to try, with commas between them.")
            elif said.get(f"{name}_values", "").strip() and not said.get(name):
                self.add_error(name, "Say what these values are for.")
        if said.get("grid_1") and said.get("grid_1") == said.get("grid_2"):
            self.add_error("grid_2", "Choose two different settings.")
        return said

    def sampling_wrong(self) -> bool:
        """A section with an error must not be shut."""
        return any(self[name].errors for name in (*SAMPLING, "sample_prompts"))

    def expert_wrong(self) -> bool:
        return any(field.errors for field in self.expert_fields())

    def grid_wrong(self) -> bool:
        return any(field.errors for pair in self.grid_fields() for field in pair)

    def with_synthetic(self) -> bool:
        """Whether pictures that the studio made are trained on, too; so unless the user says no."""
        return str(self["synthetic"].value()) != "leave"

    def training_values(self) -> dict[str, Any]:
        return values(self.params, self.cleaned_data)
