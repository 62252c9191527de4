"""The form of a character. The rules are the service's; here they only become the browser's own hints."""

from typing import Any

from django import forms
from django.urls import reverse_lazy

from characters.services import MAX_DESCRIPTION, MAX_NAME

CONTROL = {"class": "form-control"}


class CharacterForm(forms.Form):
    name = forms.CharField(
        max_length=MAX_NAME,
        error_messages={"required": "Give the character a name."},
        widget=forms.TextInput({**CONTROL, "data-testid": "character-name-input", "autocomplete": "off"}),
    )
    trigger_word = forms.CharField(
        max_length=50,
        error_messages={"required": "Give it a trigger word, such as ohwx."},
        help_text="A made-up word that calls this face in a prompt: letters, digits, _ or -, no spaces.",
        widget=forms.TextInput(
            {
                **CONTROL,
                "id": "trigger",
                "data-testid": "character-trigger-input",
                "autocomplete": "off",
                "hx-get": reverse_lazy("characters:trigger"),
                "hx-trigger": "load, input changed delay:300ms",
                "hx-include": "#name, #trigger-for, #trigger-base",
                "hx-target": "#trigger-help",
                "hx-swap": "outerHTML",
                # The form around it selects itself from what it is answered.
                "hx-select": "unset",
                "hx-sync": "this:replace",
                "data-quiet": True,
            }
        ),
    )
    description = forms.CharField(
        max_length=MAX_DESCRIPTION,
        required=False,
        help_text='Optional. "A woman with …" tells the training that this is a woman.',
        widget=forms.Textarea({**CONTROL, "rows": 2}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "%s", **kwargs})
