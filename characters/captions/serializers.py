"""Captions as the JSON API shows and takes them."""

from typing import Any

from rest_framework import serializers

from characters.captions import bulk, services, shown, writing
from characters.captions.text import MAX_CAPTION, training_text
from characters.models import ReferenceImage
from isengard.engine.captioners import DETAILS

Data = dict[str, Any]


class VersionOut(serializers.Serializer[Any]):
    """A text that the caption once was; `id` restores it."""

    id = serializers.IntegerField(source="pk")
    text = serializers.CharField()
    by = serializers.CharField()
    created_at = serializers.DateTimeField()


class CaptionOut(serializers.Serializer[ReferenceImage]):
    """`training_text` is exactly what a training would be given; `by` is one of the authors, or empty."""

    id = serializers.CharField(source="public_id")
    caption = serializers.CharField()
    by = serializers.SerializerMethodField()
    training_text = serializers.SerializerMethodField()
    cut_text = serializers.SerializerMethodField(help_text="the end that the default base model does not read")
    versions = serializers.SerializerMethodField()

    def get_by(self, image: ReferenceImage) -> str:
        return services.author(image)

    def get_training_text(self, image: ReferenceImage) -> str:
        return training_text(image.caption, image.character.trigger_word)

    def get_cut_text(self, image: ReferenceImage) -> str:
        return shown.reading(image.caption, image.character.trigger_word).cut

    def get_versions(self, image: ReferenceImage) -> list[Data]:
        return list(VersionOut(image.caption_versions.order_by("-id"), many=True).data)


class CaptionIn(serializers.Serializer[Data]):
    # The service has the sentence for one that is too long.
    caption = serializers.CharField(
        allow_blank=True, trim_whitespace=False, help_text=f"at most {MAX_CAPTION} characters"
    )


class RestoreIn(serializers.Serializer[Data]):
    version = serializers.IntegerField(min_value=1)


class CaptionEditIn(serializers.Serializer[Data]):
    """Which photos: `image_ids`, or `all` with the filter of the image list. What to do: `op` with its options."""

    op = serializers.ChoiceField(choices=sorted(bulk.EDITS))
    preview = serializers.BooleanField(default=False, help_text="only say what would change")
    image_ids = serializers.ListField(child=serializers.CharField(), required=False)
    all = serializers.BooleanField(default=False)
    find = serializers.CharField(required=False, trim_whitespace=False, max_length=500)
    replace = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, max_length=MAX_CAPTION)
    whole_word = serializers.BooleanField(default=False)
    match_case = serializers.BooleanField(default=False)
    text = serializers.CharField(required=False, max_length=MAX_CAPTION, help_text="of prefix and suffix")
    template = serializers.CharField(required=False, help_text="such as: a photo of {trigger} {class}, {tags}")
    overwrite = serializers.BooleanField(default=False, help_text="a template also replaces captions that are there")
    phrases = serializers.ListField(child=serializers.CharField(), required=False, help_text="what strip takes out")


class CaptionRowOut(serializers.Serializer[Any]):
    id = serializers.CharField(source="image.public_id")
    before = serializers.CharField()
    after = serializers.CharField()


class CaptionEditOut(serializers.Serializer[Any]):
    """`rows` are the first that change (previews only); `undo` is the token that takes the edit back within an hour."""

    changed = serializers.IntegerField()
    total = serializers.IntegerField(required=False)
    problem = serializers.CharField(required=False, allow_blank=True)
    rows = CaptionRowOut(many=True, required=False)
    undo = serializers.CharField(required=False, allow_blank=True)


class CaptionUndoIn(serializers.Serializer[Data]):
    undo = serializers.CharField()


class CaptionUndoOut(serializers.Serializer[Any]):
    restored = serializers.IntegerField()


class CaptionFindingOut(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="trait: names something of the body; repeated: in 80 % of captions or more")
    phrase = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # the API's name, not the field's
    count = serializers.IntegerField()
    total = serializers.IntegerField(help_text="captions that are not empty")
    why = serializers.CharField()


class CaptionerOut(serializers.Serializer[Any]):
    """`reason` is empty when it can be used, else it says what to put where."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the API's name, not the field's
    kind = serializers.CharField()
    licence = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    download = serializers.CharField(allow_blank=True, help_text="the command that brings it, where it is not here")
    details = serializers.ListField(child=serializers.CharField())


class WriteIn(serializers.Serializer[Data]):
    """With `preview` every model describes three photos and nothing is changed; else one model writes captions."""

    models = serializers.ListField(child=serializers.CharField(), allow_empty=False, max_length=8)
    preview = serializers.BooleanField(default=False)
    mode = serializers.ChoiceField(choices=sorted(writing.MODES), default="empty")
    detail = serializers.ChoiceField(choices=DETAILS["florence2"], default="detailed")
    strip_traits = serializers.BooleanField(default=True, help_text="leave out what never changes in a person")


class WriteOut(serializers.Serializer[Any]):
    """The job; `results` of a try: image id → model → text."""

    job_id = serializers.CharField(source="job.public_id")
    status = serializers.CharField(source="job.state")
    images = serializers.SerializerMethodField()
    written = serializers.IntegerField(source="options.written")
    kept = serializers.IntegerField(source="options.kept")
    failed = serializers.ListField(source="options.failed", child=serializers.DictField())
    results = serializers.DictField(source="options.results")

    def get_images(self, task: Any) -> int:
        return len(task.options["images"])


class TriggerIn(serializers.Serializer[Data]):
    word = serializers.CharField(max_length=100, allow_blank=True, default="")
    base = serializers.CharField(max_length=40, required=False, help_text="base model; the default one without")
    character = serializers.CharField(max_length=20, required=False, help_text="the character that has the word now")
    name = serializers.CharField(max_length=100, required=False, default="", help_text="seeds the suggestions")


class RemarkOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    text = serializers.CharField()


class TriggerOut(serializers.Serializer[Any]):
    """`pieces`: tokenizer → what it makes of the word; `checked` says which were asked, and which could not be."""

    word = serializers.CharField()
    good = serializers.BooleanField()
    remarks = RemarkOut(many=True)
    pieces = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    checked = serializers.CharField(allow_blank=True)
    suggestions = serializers.ListField(child=serializers.CharField())
