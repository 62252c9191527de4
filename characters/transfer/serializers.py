"""Imports and exports as the JSON API takes and shows them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from characters.models import DatasetTask
from characters.serializers import Rejected
from characters.services import MAX_DESCRIPTION, MAX_NAME
from characters.transfer import layouts, services


class ImportIn(serializers.Serializer[dict[str, Any]]):
    archive = serializers.FileField(allow_empty_file=True, max_length=None)


class ImportNewIn(ImportIn):
    name = serializers.CharField(max_length=MAX_NAME, required=False, allow_blank=True)
    trigger_word = serializers.CharField(max_length=50, required=False, allow_blank=True)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, allow_blank=True)


class Told(serializers.Serializer[dict[str, Any]]):
    filename = serializers.CharField()
    reason = serializers.CharField()


class ImportOut(serializers.ModelSerializer[DatasetTask]):
    """`photos`: pictures found in the archive. The lists grow while the job runs; `refused` is whole at its end."""

    id = serializers.CharField(source="job.public_id", read_only=True)
    character_id = serializers.CharField(source="character.public_id", read_only=True)
    state = serializers.CharField(source="job.state", read_only=True)
    photos = serializers.SerializerMethodField()
    added = serializers.SerializerMethodField()
    skipped = serializers.SerializerMethodField()
    refused = serializers.SerializerMethodField()
    notes = serializers.SerializerMethodField()

    class Meta:
        model = DatasetTask
        fields = ["id", "character_id", "state", "photos", "added", "skipped", "refused", "notes"]

    def to_representation(self, instance: DatasetTask) -> dict[str, Any]:
        self._report = services.report(instance)
        return super().to_representation(instance)

    def get_photos(self, task: DatasetTask) -> int:
        return int(task.options["photos"])

    def get_added(self, task: DatasetTask) -> int:
        return int(self._report["added"])

    @extend_schema_field(Rejected(many=True))
    def get_skipped(self, task: DatasetTask) -> Any:
        return self._report["skipped"]

    @extend_schema_field(Rejected(many=True))
    def get_refused(self, task: DatasetTask) -> Any:
        return self._report["refused"]

    @extend_schema_field(Told(many=True))
    def get_notes(self, task: DatasetTask) -> Any:
        return self._report["notes"]


class ExportQuery(serializers.Serializer[dict[str, Any]]):
    layout = serializers.ChoiceField(choices=layouts.LAYOUTS, default="isengard")
    repeats = serializers.IntegerField(
        min_value=layouts.REPEATS[0], max_value=layouts.REPEATS[1], default=10, help_text="kohya only"
    )
    class_word = serializers.CharField(
        max_length=50, default="", allow_blank=True, help_text="kohya only; else from the description"
    )


class SelectionExportIn(ExportQuery):
    """Besides these: `image_ids`, or `all` with the filter of the list of images."""

    image_ids = serializers.ListField(child=serializers.CharField(), required=False)
