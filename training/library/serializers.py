"""LoRAs as the JSON API shows and takes them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from training.library.services import LONGEST_NAME, STRONGEST
from training.models import Lora


class LoraInfoSerializer(serializers.ModelSerializer[Lora]):
    id = serializers.CharField(source="public_id", read_only=True)
    name = serializers.CharField(source="__str__", read_only=True)
    filename = serializers.CharField(read_only=True)
    uploaded_at = serializers.DateTimeField(source="created_at", read_only=True)
    path = serializers.CharField(source="download_url", read_only=True, help_text="address of the file")
    character_id = serializers.CharField(source="character.public_id", read_only=True)
    base_model = serializers.CharField(source="base", read_only=True)
    training_job_id = serializers.SerializerMethodField()
    downloads = serializers.SerializerMethodField(help_text="addresses of the file by key style")
    report = serializers.JSONField(read_only=True, help_text="of an uploaded file: what was recognised in it, else {}")

    class Meta:
        model = Lora
        fields = [
            "id",
            "name",
            "filename",
            "trigger_word",
            "size_bytes",
            "uploaded_at",
            "path",
            "character_id",
            "version",
            "origin",
            "base_model",
            "base_version",
            "family",
            "rank",
            "steps",
            "final_loss",
            "default_strength",
            "sha256",
            "is_active",
            "is_outdated",
            "training_job_id",
            "downloads",
            "report",
        ]
        read_only_fields = fields

    def get_training_job_id(self, lora: Lora) -> str | None:
        run = lora.made_by
        return run.job.public_id if run else None

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_downloads(self, lora: Lora) -> dict[str, str]:
        return {"diffusers": lora.download_url, "kohya": f"{lora.download_url}?style=kohya"}


class LoraListSerializer(serializers.Serializer[Any]):
    loras = LoraInfoSerializer(many=True)
    total_count = serializers.IntegerField()


class LoraChangeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(
        required=False, allow_blank=True, max_length=LONGEST_NAME, help_text='"" means the character\'s name'
    )
    default_strength = serializers.FloatField(required=False, min_value=0, max_value=STRONGEST)


class LoraUploadSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(allow_empty_file=True, max_length=None, help_text="a .safetensors LoRA of FLUX.1")
    character_id = serializers.CharField(
        required=False, allow_blank=True, max_length=40, help_text="left out: a new character is made of it"
    )
    name = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=LONGEST_NAME,
        help_text="of the version, or of the new character; left out: as the file says",
    )
    trigger_word = serializers.CharField(
        required=False, allow_blank=True, max_length=50, help_text="left out: as the file says, else the character's"
    )


class DeletedSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(default="deleted")
    id = serializers.CharField()
