"""The two forms of import and export. Rules live in the services; these only name fields."""

from django import forms

from characters.models import Character
from characters.services import MAX_DESCRIPTION, MAX_NAME
from characters.transfer import layouts

LAYOUTS = [
    ("isengard", "Isengard: everything, to import again here or elsewhere"),
    ("imagefolder", "Hugging Face imagefolder: photos and texts"),
    ("kohya", "kohya: folders with a text beside each photo"),
]


class ImportForm(forms.Form):
    archive = forms.FileField(
        label="ZIP file", widget=forms.FileInput(attrs={"class": "form-control", "accept": ".zip,application/zip"})
    )


class NewCharacterForm(ImportForm):
    """What is left empty is taken from the archive, if one of ours says it."""

    name = forms.CharField(max_length=MAX_NAME, required=False, widget=forms.TextInput(attrs={"class": "form-control"}))
    trigger_word = forms.CharField(
        max_length=50, required=False, widget=forms.TextInput(attrs={"class": "form-control", "autocapitalize": "off"})
    )
    description = forms.CharField(
        max_length=MAX_DESCRIPTION,
        required=False,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )


class ExportForm(forms.Form):
    layout = forms.ChoiceField(choices=LAYOUTS, initial="isengard", widget=forms.RadioSelect)
    repeats = forms.IntegerField(
        min_value=layouts.REPEATS[0],
        max_value=layouts.REPEATS[1],
        initial=10,
        required=False,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
    )
    class_word = forms.CharField(max_length=50, required=False, widget=forms.TextInput(attrs={"class": "form-control"}))

    def chosen(self, characters: list[Character]) -> layouts.Layout:
        """Invalid: the words do not fit the layout. Only for a form that is valid."""
        given = self.cleaned_data
        return layouts.of(
            given["layout"],
            repeats=given["repeats"] or 10,
            class_word=given["class_word"] or layouts.class_word_of(characters),
        )
