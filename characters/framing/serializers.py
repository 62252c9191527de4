"""Crops and masks as the JSON API shows and takes them."""

from typing import Any

from rest_framework import serializers

from characters.browse.serializers import SelectionIn
from characters.framing import crops, masks
from characters.models import Crop

KINDS = list(crops.KINDS.items())


class BoxOut(serializers.Serializer[Any]):
    """Fractions, 0 to 1, of the stored picture's width and height."""

    kind = serializers.ChoiceField(KINDS)
    x = serializers.FloatField()
    y = serializers.FloatField()
    width = serializers.FloatField()
    height = serializers.FloatField()


class CropOut(serializers.ModelSerializer[Crop]):
    """`main` stands for the photo in trainings, `face` and `half` are further samples; `by` is auto or user."""

    kind = serializers.ChoiceField(KINDS)

    class Meta:
        model = Crop
        fields = ["kind", "x", "y", "width", "height", "by", "enabled"]


class CropsOut(serializers.Serializer[Any]):
    crops = CropOut(many=True)
    suggestions = BoxOut(many=True)
    faces = serializers.IntegerField(help_text="known on this photo; without one a suggestion is the middle upper part")


class CropIn(serializers.Serializer[dict[str, Any]]):
    x = serializers.FloatField(min_value=0, max_value=1)
    y = serializers.FloatField(min_value=0, max_value=1)
    width = serializers.FloatField(min_value=0, max_value=1)
    height = serializers.FloatField(min_value=0, max_value=1)
    enabled = serializers.BooleanField(default=True)


class CropsIn(SelectionIn):
    kinds = serializers.ListField(child=serializers.ChoiceField(KINDS), allow_empty=False)
    replace = serializers.BooleanField(default=False, help_text="also what a person drew")


class SuggestedOut(serializers.Serializer[Any]):
    made = serializers.IntegerField(help_text="photos that got crops")
    without_face = serializers.IntegerField()
    kept = serializers.IntegerField(help_text="photos with crops that a person drew")


class MaskIn(serializers.Serializer[dict[str, Any]]):
    file = serializers.FileField(help_text="a picture as large as the photo: white the person, black the background")


class MaskOut(serializers.Serializer[Any]):
    mask = serializers.CharField(help_text="its address")
    by = serializers.CharField(help_text="auto or user")


class MasksIn(SelectionIn):
    shape = serializers.ChoiceField(list(masks.SHAPES.items()), default="person")
    replace = serializers.BooleanField(default=False, help_text="also what a person drew")


class MasksOut(serializers.Serializer[Any]):
    jobs = serializers.ListField(child=serializers.CharField(), help_text="ids, one job per character")


class RemovedOut(serializers.Serializer[Any]):
    count = serializers.IntegerField()
