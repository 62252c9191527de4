"""Pictures of all requests, boards and storage as the JSON API shows and takes them."""

from typing import Any

from rest_framework import serializers

from generation.gallery import query, services
from generation.models import Output
from isengard.selections import MOST_NAMED

Data = dict[str, Any]


class PictureOut(serializers.ModelSerializer[Output]):
    """One picture. `prompt`: its own words, as they were drawn."""

    id = serializers.CharField(source="public_id", read_only=True)
    job_id = serializers.CharField(source="generation.job.public_id", read_only=True)
    character_id = serializers.CharField(
        source="generation.character.public_id", read_only=True, allow_null=True, default=None
    )
    lora_id = serializers.CharField(source="lora_key", read_only=True, allow_null=True)
    prompt = serializers.CharField(source="words", read_only=True)
    tool = serializers.CharField(source="generation.tool", read_only=True)
    purpose = serializers.CharField(source="generation.purpose", read_only=True)
    verdict = serializers.CharField(read_only=True, help_text="of a training picture: kept, or empty")
    url = serializers.CharField(read_only=True)
    thumbnail_url = serializers.CharField(source="thumb_url", read_only=True)

    class Meta:
        model = Output
        fields = [
            "id", "job_id", "index", "character_id", "lora_id", "prompt", "tool", "purpose", "media_type", "seed",
            "width", "height", "size_bytes", "seconds", "favourite", "rating", "verdict", "created_at", "url",
            "thumbnail_url",
        ]  # fmt: skip


class PictureFilterIn(serializers.Serializer[Data]):
    """Which pictures, in which order."""

    q = serializers.CharField(required=False, allow_blank=True, help_text="starts of words of the prompt, all there")
    character = serializers.CharField(required=False, allow_blank=True, help_text="public id")
    lora = serializers.CharField(required=False, allow_blank=True, help_text="public id")
    board = serializers.CharField(required=False, allow_blank=True, help_text="a board's id")
    kind = serializers.CharField(required=False, allow_blank=True, help_text=f"one of {', '.join(query.KINDS)}")
    rating = serializers.CharField(required=False, allow_blank=True, help_text="1 to 5: so or better")
    favourite = serializers.BooleanField(required=False, help_text="true: only favourites")
    since = serializers.CharField(required=False, allow_blank=True, help_text="first day, as 2026-01-31")
    until = serializers.CharField(required=False, allow_blank=True, help_text="last day")
    sort = serializers.CharField(required=False, help_text=f"one of {', '.join(query.SORTS)}")


class PicturePageIn(PictureFilterIn):
    cursor = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="`next` or `previous` of a page, or `last`"
    )
    limit = serializers.IntegerField(required=False, default=60, min_value=1, max_value=query.LARGEST_PAGE)


class PicturePageOut(serializers.Serializer[Data]):
    outputs = PictureOut(many=True)
    next = serializers.CharField(help_text="cursor of the page after this one; empty on the last")
    previous = serializers.CharField(help_text="cursor of the page before; empty on the first")


class ChoiceIn(PictureFilterIn):
    """The pictures meant: named by id, or with `all` everything that the filter finds but `except_ids`."""

    output_ids = serializers.ListField(child=serializers.CharField(), required=False, max_length=MOST_NAMED)
    all = serializers.BooleanField(required=False)
    except_ids = serializers.ListField(child=serializers.CharField(), required=False, max_length=MOST_NAMED)


class MarkIn(ChoiceIn):
    """Left out: unchanged."""

    to_favourite = serializers.BooleanField(required=False)
    to_rating = serializers.IntegerField(required=False, min_value=0, max_value=services.MOST_STARS)

    def validate(self, attrs: Data) -> Data:
        # `rating` and `favourite` are the filter's; whoever means them as marks must not be told that all went well.
        if not {"to_favourite", "to_rating"} & set(attrs):
            raise serializers.ValidationError("Say to_favourite, to_rating or both.")
        return attrs


class ZipIn(ChoiceIn):
    recipes = serializers.BooleanField(required=False, default=True, help_text="false: PNGs without a word in them")


class ChangedOut(serializers.Serializer[Data]):
    count = serializers.IntegerField(help_text="how many pictures were changed")


class DeletedOut(ChangedOut):
    undo = serializers.CharField(help_text="for /api/outputs/undo, within a minute")


class PictureUndoIn(serializers.Serializer[Data]):
    undo = serializers.CharField()


class BoardOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    count = serializers.IntegerField(help_text="pictures on it")
    created_at = serializers.DateTimeField()


class BoardIn(serializers.Serializer[Data]):
    name = serializers.CharField(max_length=services.LONGEST_NAME)


class ShareOut(serializers.Serializer[Any]):
    character_id = serializers.CharField(source="key", help_text="empty: nobody's")
    name = serializers.CharField(source="label")
    count = serializers.IntegerField()
    bytes = serializers.IntegerField()


class StorageOut(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    bytes = serializers.IntegerField()
    free = serializers.IntegerField()
    favourites = serializers.IntegerField()
    parts = ShareOut(many=True)


class RuleShape(serializers.Serializer[Any]):
    after_days = serializers.IntegerField(allow_null=True, min_value=1, max_value=3650, help_text="null: never")
    keep_rating = serializers.IntegerField(required=False, default=1, min_value=1, max_value=5)


class SyntheticIn(serializers.Serializer[Data]):
    prompt = serializers.CharField(required=False, allow_blank=True, max_length=2000, help_text="ours unless told")
    count = serializers.IntegerField(required=False, default=4, min_value=1, max_value=8)


class KeptOut(serializers.Serializer[Any]):
    added = serializers.IntegerField(help_text="photos now")
    known = serializers.IntegerField(help_text="the character had these very pictures already")
