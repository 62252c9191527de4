"""Characters and photos as the JSON API shows and takes them. Field names are the API's, not the models'."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from characters.models import Character
from characters.services import MAX_DESCRIPTION, MAX_NAME


class CharacterOut(serializers.ModelSerializer[Character]):
    """All nine members are always there. `lora_path` is the address its newest active LoRA is downloaded from."""

    id = serializers.CharField(source="public_id", read_only=True)
    description = serializers.SerializerMethodField()
    image_count = serializers.IntegerField(read_only=True)
    lora_path = serializers.SerializerMethodField()
    lora_trained_at = serializers.SerializerMethodField()

    class Meta:
        model = Character
        fields = [
            "id", "name", "description", "trigger_word", "created_at", "updated_at",
            "image_count", "lora_path", "lora_trained_at",
        ]  # fmt: skip

    def get_description(self, character: Character) -> str | None:
        return character.description or None

    def get_lora_path(self, character: Character) -> str | None:
        lora = _active_lora(character)
        return lora.download_url if lora else None

    def get_lora_trained_at(self, character: Character) -> datetime | None:
        lora = _active_lora(character)
        return lora.created_at if lora else None


def _active_lora(character: Character) -> Any:
    """Read through the prefetched reverse relation: this app does not know what a LoRA is made of."""
    return next((lora for lora in character.loras.all() if lora.is_active), None)


class CharacterIn(serializers.Serializer[dict[str, Any]]):
    name = serializers.CharField(max_length=MAX_NAME)
    trigger_word = serializers.CharField(min_length=2, max_length=50)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, allow_null=True, allow_blank=True)


class CharacterChange(serializers.Serializer[dict[str, Any]]):
    """Null or left out: unchanged."""

    name = serializers.CharField(max_length=MAX_NAME, required=False, allow_null=True)
    trigger_word = serializers.CharField(min_length=2, max_length=50, required=False, allow_null=True)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, allow_null=True, allow_blank=True)


class ListQuery(serializers.Serializer[dict[str, Any]]):
    limit = serializers.IntegerField(min_value=1, max_value=500, required=False)
    after = serializers.CharField(max_length=20, required=False, help_text="id of the last character already seen")


class ImagesIn(serializers.Serializer[dict[str, Any]]):
    files = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True, max_length=None), allow_empty=False
    )


class Rejected(serializers.Serializer[dict[str, Any]]):
    filename = serializers.CharField()
    reason = serializers.CharField()
    code = serializers.CharField()


class UploadOut(serializers.Serializer[dict[str, Any]]):
    uploaded = serializers.ListField(child=serializers.CharField())
    rejected = Rejected(many=True)
    skipped = Rejected(many=True)
    total_images = serializers.IntegerField()


class ImagesOut(serializers.Serializer[dict[str, Any]]):
    images = serializers.ListField(child=serializers.CharField())
    count = serializers.IntegerField()
