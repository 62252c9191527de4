"""Pictures as the JSON API shows and takes them. Field names are the API's, not the models'."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from generation.models import Generation
from isengard.engine import catalog, offers
from training.serializers import KeepsUnknown, ProgressFields, param_fields

API_COUNT = 4


class GenerationConfigSerializer(KeepsUnknown):
    """The parameters are the catalogue's; the toggles are there to be refused with a reason."""

    prompt = serializers.CharField(max_length=2000)
    lora_id = serializers.CharField(
        required=False, allow_null=True, max_length=40, help_text="a LoRA's id, or a character's for its active LoRA"
    )
    base_model = serializers.CharField(
        required=False, allow_null=True, max_length=40, help_text="the LoRA's own, else pocket or flux-dev by mode"
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        declared = param_fields(*(catalog.generation_params(key) for key in catalog.BASES))
        declared.pop("count")
        toggles = {
            name: serializers.BooleanField(required=False, help_text=reason)
            for name, (_, reason) in offers.TOGGLES.items()
        }
        return {**super().get_fields(), **declared, **toggles}


class GenerationRequestSerializer(serializers.Serializer[Any]):
    config = GenerationConfigSerializer()
    count = serializers.IntegerField(required=False, default=1, min_value=1, max_value=API_COUNT)


class OutputSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    url = serializers.CharField()
    thumbnail_url = serializers.CharField(source="thumb_url")
    media_type = serializers.CharField()
    seed = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    seconds = serializers.FloatField()


class KeepSerializer(serializers.Serializer[Any]):
    character_id = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=40,
        help_text="whose photo it becomes; its own character unless told",
    )


class KeptSerializer(serializers.Serializer[Any]):
    image_id = serializers.CharField(source="image.public_id")
    character_id = serializers.CharField(source="image.character.public_id")
    added = serializers.BooleanField(help_text="false: the character had that very picture already")


class GenerationJobSerializer(ProgressFields):
    character_id = serializers.CharField(source="character.public_id", read_only=True, allow_null=True, default=None)
    base_model = serializers.CharField(source="base", read_only=True)
    lora_name = serializers.CharField(read_only=True, help_text="which LoRA it was, also when that is deleted")
    count = serializers.IntegerField(read_only=True)
    config = serializers.SerializerMethodField()
    stage = serializers.CharField(source="job.stage", read_only=True)
    output_paths = serializers.SerializerMethodField(help_text="addresses of the pictures")
    output_files = serializers.SerializerMethodField(help_text="their keys below VOLUME_ROOT, in fast-test mode only")
    outputs = serializers.SerializerMethodField()

    @extend_schema_field(GenerationConfigSerializer)
    def get_config(self, row: Generation) -> dict[str, Any]:
        lora = row.lora.public_id if row.lora else None
        toggles = dict.fromkeys(offers.TOGGLES, False)
        return {"prompt": row.prompt, "negative_prompt": "", "lora_id": lora, **row.params, **toggles}

    def get_output_paths(self, row: Generation) -> list[str]:
        return [output.url for output in row.outputs.all()]

    def get_output_files(self, row: Generation) -> list[str] | None:
        if settings.ISENGARD_MODE != "fast-test":
            return None
        return [output.file for output in row.outputs.all()]

    @extend_schema_field(OutputSerializer(many=True))
    def get_outputs(self, row: Generation) -> Any:
        return OutputSerializer(row.outputs.all(), many=True).data
