"""Form fields made from the engine's Params, so that a knob is declared once. Knows no app."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from isengard.engine.params import Param

CONTROL = {"class": "form-control"}
# As a person says it.
BOUNDS = {
    MinValueValidator: "It must be at least %(limit_value)s.",
    MaxValueValidator: "It must be at most %(limit_value)s.",
}


def field_for(param: Param) -> forms.Field:
    """A form field that accepts what the Param accepts; its bounds are checked again by the service."""
    common: dict[str, Any] = {
        "label": param.label,
        "help_text": param.help,
        "required": False,
        "initial": initial(param),
    }
    if param.type == "enum":
        choices = [(str(option), param.said(option)) for option in param.choices]
        return forms.ChoiceField(choices=choices, widget=forms.Select({"class": "form-select"}), **common)
    if param.type == "bool":
        return forms.BooleanField(widget=forms.CheckboxInput(), **common)
    if param.type in {"string", "string_list"}:
        return forms.CharField(widget=forms.Textarea({**CONTROL, "rows": 3}), **common)
    return _number(param, common)


def _number(param: Param, common: dict[str, Any]) -> forms.Field:
    # `step=any`, because the browser would refuse a finer value than the control's own step, and the engine does not.
    widget = forms.NumberInput({**CONTROL, "step": "any" if param.type == "float" else "1", "inputmode": "decimal"})
    bounds: dict[str, Any] = {"min_value": param.min, "max_value": param.max, "widget": widget}
    field = forms.IntegerField(**bounds, **common) if param.type == "int" else forms.FloatField(**bounds, **common)
    for validator in field.validators:
        if isinstance(validator, MinValueValidator | MaxValueValidator):
            validator.message = BOUNDS[type(validator)]
    return field


def initial(param: Param) -> Any:
    return "\n".join(param.default) if param.type == "string_list" else param.default


def values(params: tuple[Param, ...], cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says, in the Params' own types; fields left empty are left out and mean the default."""
    found = {param.name: cleaned.get(param.name) for param in params if cleaned.get(param.name) not in (None, "")}
    lists = {param.name for param in params if param.type == "string_list"}
    return {name: str(value).splitlines() if name in lists else value for name, value in found.items()}
