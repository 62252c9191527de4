"""The generate form: who, what, how strongly, and every knob the base reads."""

from typing import Any

from django import forms

from generation.services import MAX_COUNT, MAX_PROMPT
from generation.shapes import Shape, shapes_for
from isengard.engine import catalog
from isengard.forms import field_for, values
from training.models import Lora

# Shown in the form's own words; the rest of the base's knobs are behind "more".
OWN = ("lora_strength", "count", "width", "height")
COUNTS = (1, 2, 4, MAX_COUNT)


class GenerateForm(forms.Form):
    """Built for one base; the LoRAs offered are those that fit it."""

    prompt = forms.CharField(
        max_length=MAX_PROMPT,
        error_messages={"required": "Describe the picture in a few words."},
        widget=forms.Textarea(
            {
                "class": "form-control",
                "rows": 3,
                "data-search": "",
                "data-testid": "prompt-input",
                "data-enables": "#generate-button",
            }
        ),
    )

    def __init__(self, *args: Any, base: str, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "%s", **kwargs})
        self.base = catalog.get(base)
        self.params = catalog.generation_params(base)
        self.shapes: tuple[Shape, ...] = shapes_for(self.base)
        self.fields["lora"] = forms.ModelChoiceField(
            Lora.objects.worn_by(base).select_related("character").order_by("character__name", "-version"),
            to_field_name="public_id",
            required=False,
            empty_label=f"Nobody: {self.base.label} alone",
            error_messages={"invalid_choice": "This LoRA was deleted or is for another base. Choose another one."},
            widget=forms.Select({"class": "form-select"}),
        )
        for param in self.params:
            self.fields[param.name] = field_for(param)

    def more_fields(self) -> list[forms.BoundField]:
        return [self[param.name] for param in self.params if param.name not in OWN]

    def more_wrong(self) -> bool:
        """A section with an error must not be shut."""
        return any(field.errors for field in (self["width"], self["height"], *self.more_fields()))

    def shape_choices(self) -> list[dict[str, Any]]:
        """The shapes with the one that the form's width and height mean marked."""
        size = (str(self["width"].value()), str(self["height"].value()))
        return [{"shape": shape, "checked": size == (str(shape.width), str(shape.height))} for shape in self.shapes]

    def counts(self) -> list[dict[str, Any]]:
        chosen = str(self["count"].value())
        known = {str(count) for count in COUNTS}
        limit = next(param.max for param in self.params if param.name == "count") or 1
        shown = [count for count in COUNTS if count <= limit]
        return [
            {"count": count, "checked": str(count) == chosen or (chosen not in known and count == 1)} for count in shown
        ]

    def picture_values(self) -> dict[str, Any]:
        """The knobs of the pictures themselves, without those that the service takes by name."""
        request = {"seed", "count", "lora_strength"}
        return {name: value for name, value in values(self.params, self.cleaned_data).items() if name not in request}
