"""The JSON API of presets: the studio's own, sized by the number of photos, and those that people saved."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isengard.engine import parameters
from isengard.parsers import cleaned
from training import access, bases, planning, presets, services, user_presets
from training.library.serializers import DeletedSerializer
from training.presets import Preset
from training.serializers import ErrorSerializer, TrainingConfigSerializer, default_base


class PresetQuery(serializers.Serializer[Any]):
    base_model = serializers.CharField(required=False, max_length=40)
    photos = serializers.IntegerField(default=0, min_value=0, max_value=100_000, help_text="0: not known yet")


class PresetSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="what `preset_name` takes")
    title = serializers.CharField()
    tagline = serializers.CharField()
    likeness = serializers.CharField(allow_blank=True, help_text="what to expect of it")
    values = serializers.DictField(help_text="what differs from the base's defaults")
    own = serializers.IntegerField(allow_null=True, help_text="the id of one that a person saved")
    steps = serializers.IntegerField(help_text="for so many photos")
    seconds = serializers.FloatField(help_text="on this machine")


class PresetRequestSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200, trim_whitespace=False)
    base_model = serializers.CharField(required=False, max_length=40)
    config = TrainingConfigSerializer(required=False)


class NameSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200, trim_whitespace=False)


def shaped(base: str, found: list[Preset], photos: int) -> list[dict[str, Any]]:
    outlook, pictures = planning.Outlook(base), photos or presets.USUAL_PHOTOS
    rows = []
    for preset in found:
        params = services.training_params(base, preset.values)
        steps = parameters.steps_of(params, pictures)
        seconds = outlook.seconds({**params, "steps": steps}, pictures)
        rows.append({**asdict(preset), "steps": steps, "seconds": seconds})
    return rows


class PresetListView(APIView):
    @extend_schema(
        operation_id="presets_list", tags=["training"], parameters=[PresetQuery], responses=PresetSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """The presets of a base model for so many photos: the studio's, then those that were saved."""
        asked = cleaned(PresetQuery(data=request.query_params.dict()))
        base, photos = bases.find(default_base(asked)).key, asked["photos"]
        bases.require_trainable(base)
        found = [*presets.presets_for(base, photos), *user_presets.own_for(base)]
        return Response(PresetSerializer(shaped(base, found, photos), many=True).data)

    @extend_schema(
        operation_id="presets_save",
        tags=["training"],
        request=PresetRequestSerializer,
        responses={201: PresetSerializer, 400: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Keeps settings under a name of 1 to 40 characters."""
        data = cleaned(PresetRequestSerializer(data=request.data))
        base = bases.find(default_base(data)).key
        params = services.training_params(base, data.get("config", {}))
        saved = user_presets.save(base=base, name=data["name"], params=params)
        return Response(_one(base, saved.name), status=201)


class PresetView(APIView):
    @extend_schema(
        operation_id="presets_rename",
        tags=["training"],
        request=NameSerializer,
        responses={200: PresetSerializer, 400: ErrorSerializer, 404: ErrorSerializer},
    )
    def patch(self, request: Request, preset_id: int) -> Response:
        """Gives it another name."""
        asked = cleaned(NameSerializer(data=request.data))
        preset = user_presets.rename(preset=access.get_preset(preset_id), name=asked["name"])
        return Response(_one(preset.base, preset.name))

    @extend_schema(
        operation_id="presets_delete", tags=["training"], responses={200: DeletedSerializer, 404: ErrorSerializer}
    )
    def delete(self, request: Request, preset_id: int) -> Response:
        """Deletes it; trainings that were started with it keep their settings."""
        user_presets.delete(preset=access.get_preset(preset_id))
        return Response(DeletedSerializer({"status": "deleted", "id": str(preset_id)}).data)


def _one(base: str, name: str) -> dict[str, Any]:
    (row,) = shaped(base, [user_presets.named(base, name, 0)], 0)
    return dict(PresetSerializer(row).data)
