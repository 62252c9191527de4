"""Photos of all characters and tags as the JSON API shows and takes them."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from characters.browse import query
from characters.browse.tags import MOST_AT_ONCE
from characters.models import ReferenceImage
from isengard.selections import MOST_NAMED

Data = dict[str, Any]
CAPTIONS = [(value, value) for value in query.CAPTIONS]


class ImageOut(serializers.ModelSerializer[ReferenceImage]):
    """One photo with everything said about it. `missing`: its file is gone from the disk."""

    id = serializers.CharField(source="public_id", read_only=True)
    character = serializers.CharField(source="character.public_id", read_only=True)
    filename = serializers.CharField(source="name", read_only=True)
    tags = serializers.SerializerMethodField()
    missing = serializers.BooleanField(read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)
    thumbnail = serializers.CharField(source="thumb_256", read_only=True)
    page = serializers.SerializerMethodField()

    class Meta:
        model = ReferenceImage
        fields = [
            "id", "character", "filename", "original_name", "width", "height", "size_bytes", "sha256", "split",
            "made_by", "verdict", "caption", "tags", "missing", "created_at", "url", "thumbnail", "page",
        ]  # fmt: skip

    def get_tags(self, image: ReferenceImage) -> list[str]:
        return image.tag_text.split(", ") if image.tag_text else []

    def get_page(self, image: ReferenceImage) -> str:
        return reverse("photos:page", args=[image.public_id])


class PhotoOut(ImageOut):
    """With what a synthetic photo was made with; null for others."""

    recipe = serializers.JSONField(read_only=True)

    class Meta(ImageOut.Meta):
        fields = [*ImageOut.Meta.fields, "recipe"]


class FilterIn(serializers.Serializer[Data]):
    """Which photos, in which order."""

    q = serializers.CharField(required=False, allow_blank=True, help_text="starts of words of name, caption or tags")
    character = serializers.CharField(required=False, allow_blank=True, help_text="public id")
    split = serializers.ChoiceField(ReferenceImage.Split.choices, required=False, allow_blank=True)
    tag = serializers.CharField(required=False, allow_blank=True)
    verdict = serializers.ChoiceField(ReferenceImage.Verdict.choices, required=False, allow_blank=True)
    caption = serializers.ChoiceField(CAPTIONS, required=False, allow_blank=True)
    missing = serializers.BooleanField(required=False, help_text="true: only photos whose file is gone")
    sort = serializers.ChoiceField(list(query.SORT_LABELS.items()), required=False)


class PageIn(FilterIn):
    cursor = serializers.CharField(
        required=False, allow_blank=True, max_length=2000, help_text="`next` or `previous` of a page, or `last`"
    )
    limit = serializers.IntegerField(required=False, default=60, min_value=1, max_value=query.LARGEST_PAGE)


class PageOut(serializers.Serializer[Data]):
    images = ImageOut(many=True)
    next = serializers.CharField(help_text="cursor of the page after this one; empty on the last")
    previous = serializers.CharField(help_text="cursor of the page before; empty on the first")


class SelectionIn(FilterIn):
    """The photos meant: named by id, or with `all` everything that the filter finds but `except_ids`."""

    image_ids = serializers.ListField(child=serializers.CharField(), required=False, max_length=MOST_NAMED)
    all = serializers.BooleanField(required=False)
    except_ids = serializers.ListField(child=serializers.CharField(), required=False, max_length=MOST_NAMED)


class SplitIn(SelectionIn):
    to_split = serializers.ChoiceField(ReferenceImage.Split.choices)


class TagsIn(SelectionIn):
    tags = serializers.ListField(child=serializers.CharField(), allow_empty=False, max_length=MOST_AT_ONCE)


class MoveIn(SelectionIn):
    to_character = serializers.CharField()


class ImageChange(serializers.Serializer[Data]):
    """Left out: unchanged. `tags` replaces all of them."""

    split = serializers.ChoiceField(ReferenceImage.Split.choices, required=False)
    tags = serializers.ListField(child=serializers.CharField(), required=False, max_length=MOST_AT_ONCE)
    caption = serializers.CharField(required=False, allow_blank=True)


class CountOut(serializers.Serializer[Data]):
    count = serializers.IntegerField(help_text="how many photos were changed")


class BinnedOut(CountOut):
    undo = serializers.CharField(help_text="for /api/images/undo, within a minute")


class UndoIn(serializers.Serializer[Data]):
    undo = serializers.CharField()


class RestoredOut(CountOut):
    here_again = serializers.IntegerField(help_text="not brought back: the same picture was uploaded again")


class MovedOut(CountOut):
    skipped = serializers.ListField(child=serializers.CharField(), help_text="names: the same picture is there already")


class TotalsIn(serializers.Serializer[Data]):
    character = serializers.CharField(required=False)


class TotalsOut(serializers.Serializer[Data]):
    all = serializers.IntegerField()
    splits = serializers.DictField(child=serializers.IntegerField())
    verdicts = serializers.DictField(child=serializers.IntegerField())


class TagsQuery(serializers.Serializer[Data]):
    character = serializers.CharField(required=False)
    begins = serializers.CharField(required=False, allow_blank=True)
    limit = serializers.IntegerField(required=False, default=200, min_value=1, max_value=5000)


class TagOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    count = serializers.IntegerField(help_text="photos that wear it")


class TagChange(serializers.Serializer[Data]):
    name = serializers.CharField(help_text="a name in use merges the two")


class MergeIn(serializers.Serializer[Data]):
    tags = serializers.ListField(child=serializers.CharField(), allow_empty=False, max_length=MOST_NAMED)
    into = serializers.CharField()


class TagNameOut(serializers.Serializer[Data]):
    name = serializers.CharField()
