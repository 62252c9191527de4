"""The forms of the library: an upload, and what can be changed of a version. The rules are the services'."""

from typing import Any

from django import forms

from characters.models import Character
from training.forms import CharacterField
from training.library.services import LONGEST_NAME, STRONGEST
from training.models import Lora

TEXT = {"class": "form-control", "autocomplete": "off"}


class UploadForm(forms.Form):
    file = forms.FileField(
        label="LoRA file",
        allow_empty_file=True,
        error_messages={"required": "Choose a .safetensors file."},
        widget=forms.FileInput({"class": "form-control", "accept": ".safetensors"}),
    )
    character = CharacterField(
        Character.objects.order_by("name"),
        to_field_name="public_id",
        required=False,
        empty_label="A new character",
        error_messages={"invalid_choice": "This character was deleted. Choose another one."},
        widget=forms.Select({"class": "form-select", "data-testid": "lora-character"}),
    )
    name = forms.CharField(max_length=LONGEST_NAME, required=False, widget=forms.TextInput(TEXT))
    trigger_word = forms.CharField(
        max_length=50, required=False, widget=forms.TextInput({**TEXT, "autocapitalize": "off"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "%s", **kwargs})


class ChangeForm(forms.Form):
    name = forms.CharField(max_length=LONGEST_NAME, required=False, widget=forms.TextInput(TEXT))
    strength = forms.FloatField(
        min_value=0,
        max_value=STRONGEST,
        error_messages={"required": "Type a number from 0 to 2."},
        widget=forms.NumberInput({"class": "form-control form-control-sm", "step": "0.05", "inputmode": "decimal"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "%s", **kwargs})

    @classmethod
    def of(cls, lora: Lora) -> "ChangeForm":
        return cls(initial={"name": lora.name, "strength": f"{lora.default_strength:g}"})
