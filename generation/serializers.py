"""Pictures as the JSON API shows and takes them. Field names are the API's, not the models'."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from generation import grid, shapes, wearing
from generation.composing import MAX_PROMPT, SEED_MODES
from generation.models import Generation
from generation.services import MAX_BATCHES, MAX_COUNT
from isengard.engine import catalog, offers, tools
from isengard.engine.guides import found as guides
from training.serializers import KeepsUnknown, ProgressFields, param_fields


class WornSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(max_length=60, help_text="a LoRA's id, or a checkpoint's (train-…@500)")
    name = serializers.CharField(read_only=True)
    strength = serializers.FloatField(
        required=False, allow_null=True, min_value=0, max_value=wearing.STRONGEST, help_text="its usual one unless told"
    )


class GenerationConfigSerializer(KeepsUnknown):
    """The parameters are the catalogue's; the toggles are there to be refused with a reason."""

    prompt = serializers.CharField(
        max_length=MAX_PROMPT,
        help_text="may offer choices: {a|b}, {2$$a|b|c}, {3::a|b}, __wildcard__",
    )
    lora_id = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=60,
        help_text="a LoRA's id, a character's for its active LoRA, or a checkpoint (train-…@500)",
    )
    more_loras = WornSerializer(many=True, required=False, help_text="further ones, worn together")
    styles = serializers.ListField(child=serializers.CharField(max_length=40), required=False, help_text="by name")
    aspect_ratio = serializers.CharField(required=False, max_length=10, help_text="e.g. 3:4; instead of width, height")
    quality = serializers.ChoiceField(
        choices=[one.key for one in shapes.QUALITIES],
        required=False,
        help_text="size and steps",
    )
    seeds = serializers.ChoiceField(
        choices=list(SEED_MODES), required=False, help_text="of several pictures: one after another, random, the same"
    )
    base_model = serializers.CharField(
        required=False, allow_null=True, max_length=40, help_text="the LoRA's own, else pocket or flux-dev by mode"
    )

    tool = serializers.ChoiceField(
        choices=[*tools.TOOLS], required=False, help_text="what makes the picture; draw unless told"
    )
    inputs = serializers.DictField(
        child=serializers.CharField(max_length=100),
        required=False,
        help_text="what the tool is given, by name: an id of /generation/inputs, or a drawn picture as gen-…:0",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        every = [tools.params(tool, base) for base in catalog.BASES.values() for tool in tools.TOOLS]
        declared = param_fields(*every, guides.PARAMS)
        declared.pop("count")
        toggles = {
            name: serializers.BooleanField(required=False, help_text=reason)
            for name, (_, reason) in offers.TOGGLES.items()
        }
        return {**super().get_fields(), **declared, **toggles}


class GenerationRequestSerializer(serializers.Serializer[Any]):
    config = GenerationConfigSerializer()
    count = serializers.IntegerField(required=False, default=1, min_value=1, max_value=MAX_COUNT)
    batches = serializers.IntegerField(
        required=False, default=1, min_value=1, max_value=MAX_BATCHES, help_text="so many jobs; the first is answered"
    )


class OutputSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    url = serializers.CharField()
    thumbnail_url = serializers.CharField(source="thumb_url")
    media_type = serializers.CharField()
    seed = serializers.IntegerField()
    prompt = serializers.CharField(help_text="its own words; empty: those of the request")
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
    cancelled = serializers.ListField(
        child=serializers.IntegerField(), source="struck", read_only=True, help_text="pictures cancelled one by one"
    )
    config = serializers.SerializerMethodField()
    stage = serializers.CharField(source="job.stage", read_only=True)
    output_paths = serializers.SerializerMethodField(help_text="addresses of the pictures")
    output_files = serializers.SerializerMethodField(help_text="their keys below VOLUME_ROOT, in fast-test mode only")
    outputs = serializers.SerializerMethodField()

    @extend_schema_field(GenerationConfigSerializer)
    def get_config(self, row: Generation) -> dict[str, Any]:
        lora = row.lora.public_id if row.lora else None
        toggles = dict.fromkeys(offers.TOGGLES, False)
        more = [{name: entry[name] for name in ("id", "name", "strength")} for entry in row.more_loras]
        asked = {"styles": row.written.get("styles", []), "seeds": row.written.get("seeds", "increment")}
        own = {"prompt": row.prompt, "negative_prompt": "", "lora_id": lora, "more_loras": more}
        own |= {"tool": row.tool, "inputs": row.inputs}
        return {**own, **asked, **row.params, **toggles}

    def get_output_paths(self, row: Generation) -> list[str]:
        return [output.url for output in row.outputs.all()]

    def get_output_files(self, row: Generation) -> list[str] | None:
        if settings.ISENGARD_MODE != "fast-test":
            return None
        return [output.file for output in row.outputs.all()]

    @extend_schema_field(OutputSerializer(many=True))
    def get_outputs(self, row: Generation) -> Any:
        return OutputSerializer(row.outputs.all(), many=True).data


class RecalledSerializer(serializers.Serializer[Any]):
    program = serializers.CharField(help_text="which one made the picture")
    base_model = serializers.CharField(source="base")
    config = serializers.DictField(source="values", help_text="what to ask for, by the names of a generation's config")
    notes = serializers.ListField(child=serializers.CharField(), help_text="what could not be taken over")


class PictureFileSerializer(serializers.Serializer[Any]):
    file = serializers.FileField()


class StyleSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=40)
    text = serializers.CharField(max_length=1000, help_text="with {prompt} where the user's words go")
    negative = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")
    own = serializers.BooleanField(read_only=True, help_text="kept by the user, so it can be deleted")


class InputFileSerializer(serializers.Serializer[Any]):
    file = serializers.FileField()
    kind = serializers.ChoiceField(choices=["picture", "mask"], required=False, default="picture")


class InputSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class ToolInputSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField(help_text="picture or mask")
    help = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]
    reason = serializers.CharField(help_text="why it cannot be given here; empty: it can")


class ToolSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    help = serializers.CharField()
    reason = serializers.CharField(help_text="why it cannot be used here; empty: it can")
    inputs = ToolInputSerializer(many=True)
    loras = serializers.IntegerField(help_text="how many it needs at least, in the order of the faces")
    parameters = serializers.DictField()


class AxisSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[*grid.KINDS])
    values = serializers.ListField(child=serializers.CharField(max_length=MAX_PROMPT, allow_blank=True), min_length=1)


class GridRequestSerializer(serializers.Serializer[Any]):
    config = GenerationConfigSerializer()
    axes = AxisSerializer(many=True, help_text="columns, rows, tables")
