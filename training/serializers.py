"""Trainings and LoRAs as the JSON API shows and takes them. Field names are the API's, not the models'."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from isengard.engine import catalog
from isengard.engine.params import Param
from isengard.jobs.models import Job
from training import bases
from training.models import Lora, TrainingRun
from training.progress import words

FIELDS: dict[str, type[serializers.Field[Any, Any, Any, Any]]] = {
    "int": serializers.IntegerField,
    "float": serializers.FloatField,
    "bool": serializers.BooleanField,
    "string": serializers.CharField,
    "enum": serializers.JSONField,
    "string_list": serializers.ListField,
}


def param_field(param: Param) -> serializers.Field[Any, Any, Any, Any]:
    """A field that checks the type alone: the bounds differ between base models and are checked by the service."""
    options: dict[str, Any] = {"required": False, "allow_null": True, "help_text": _help(param)}
    if param.type == "string":
        options["allow_blank"] = True
    if param.type == "string_list":
        options["child"] = serializers.CharField(max_length=2000)
    if param.type == "enum" and all(isinstance(choice, int) for choice in param.choices):
        return serializers.IntegerField(**options)
    if param.type == "enum":
        return serializers.CharField(**options)
    return FIELDS[param.type](**options)


def _help(param: Param) -> str:
    bounds = [f"{word} {value:g}" for word, value in (("from", param.min), ("to", param.max)) if value is not None]
    options = [f"one of {', '.join(map(str, param.choices))}"] if param.choices else []
    return (
        f"{param.help} ({', '.join([*bounds, *options, f'default {param.default}'])}; bounds depend on the base model)"
    )


def param_fields(*sets: tuple[Param, ...]) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """The union of several bases' parameters, the first description of a name winning."""
    params: dict[str, Param] = {}
    for params_of_base in sets:
        for param in params_of_base:
            params.setdefault(param.name, param)
    return {name: param_field(param) for name, param in params.items()}


class KeepsUnknown(serializers.Serializer[Any]):
    """Hands names that it does not know on to the service, which refuses them with a reason instead of losing them."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        known: dict[str, Any] = super().to_internal_value(data)
        return {**{name: value for name, value in data.items() if name not in self.fields}, **known}


class TrainingConfigSerializer(KeepsUnknown):
    """Only the method is written here; the parameters are the catalogue's."""

    method = serializers.CharField(required=False, default="lora", help_text="only lora")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        declared = param_fields(
            *(catalog.training_params(key) for key, base in catalog.BASES.items() if base.trainable)
        )
        return {**super().get_fields(), **declared}


class TrainingRequestSerializer(serializers.Serializer[Any]):
    character_id = serializers.CharField(max_length=40)
    config = TrainingConfigSerializer(required=False, help_text="what is left out comes from the preset, then the base")
    preset_name = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=40)
    synthetic = serializers.BooleanField(
        required=False, default=True, help_text="whether pictures that the studio made are trained on, too"
    )
    base_model = serializers.CharField(
        required=False, max_length=40, help_text="pocket in fast-test mode, else flux-dev"
    )


class ProgressFields(serializers.Serializer[Any]):
    """What every job shows of its progress. The row has `job`."""

    id = serializers.CharField(source="job.public_id", read_only=True)
    status = serializers.ChoiceField(source="job.state", choices=Job.State.choices, read_only=True)
    progress = serializers.FloatField(source="job.percent", read_only=True, help_text="0 to 100")
    message = serializers.SerializerMethodField(help_text="what is going on, or why less came out than asked for")
    error_message = serializers.SerializerMethodField()
    error_code = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(source="job.created_at", read_only=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True, allow_null=True)
    completed_at = serializers.DateTimeField(source="job.finished_at", read_only=True, allow_null=True)

    def get_message(self, row: Any) -> str:
        return words(row.job)

    def get_error_message(self, row: Any) -> str | None:
        return row.job.error_message or None

    def get_error_code(self, row: Any) -> str | None:
        return row.job.error_code or None


class TrainingJobSerializer(ProgressFields):
    character_id = serializers.CharField(source="character.public_id", read_only=True)
    config = serializers.SerializerMethodField()
    stage = serializers.CharField(source="job.stage", read_only=True)
    current_step = serializers.IntegerField(source="job.step", read_only=True)
    total_steps = serializers.SerializerMethodField()
    base_model = serializers.CharField(source="base", read_only=True)
    preset_name = serializers.CharField(source="preset", read_only=True)
    version = serializers.IntegerField(read_only=True, allow_null=True)
    lora_id = serializers.SerializerMethodField()
    output_path = serializers.SerializerMethodField(help_text="address of the finished LoRA's file")
    output_file = serializers.SerializerMethodField(help_text="its key below VOLUME_ROOT, in fast-test mode only")
    iteration_speed = serializers.FloatField(source="job.speed", read_only=True, allow_null=True, help_text="steps/s")
    eta_seconds = serializers.SerializerMethodField()
    elapsed_seconds = serializers.SerializerMethodField()
    current_loss = serializers.FloatField(source="job.loss", read_only=True, allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField(), read_only=True)
    paused = serializers.BooleanField(source="job.is_paused", read_only=True)
    start = serializers.CharField(read_only=True, help_text="fresh, longer or warm: what it began from")
    parent_id = serializers.CharField(source="parent.job.public_id", read_only=True, allow_null=True, default=None)
    steps_before = serializers.IntegerField(
        read_only=True, help_text="the first so many steps, with their curve and samples, were another training's"
    )
    sweep_id = serializers.IntegerField(read_only=True, allow_null=True, help_text="the comparison it belongs to")

    @extend_schema_field(TrainingConfigSerializer)
    def get_config(self, run: TrainingRun) -> dict[str, Any]:
        return {"method": "lora", **run.params}

    def get_total_steps(self, run: TrainingRun) -> int:
        return run.job.total or int(run.params["steps"])

    def get_lora_id(self, run: TrainingRun) -> str | None:
        lora = lora_of(run)
        return lora.public_id if lora else None

    def get_output_path(self, run: TrainingRun) -> str | None:
        lora = lora_of(run)
        return lora.download_url if lora else None

    def get_output_file(self, run: TrainingRun) -> str | None:
        lora = lora_of(run)
        return lora.file if lora and settings.ISENGARD_MODE == "fast-test" else None

    def get_eta_seconds(self, run: TrainingRun) -> int | None:
        return None if run.job.eta_seconds is None else round(run.job.eta_seconds)

    def get_elapsed_seconds(self, run: TrainingRun) -> int | None:
        return round(run.job.elapsed.total_seconds()) if run.job.elapsed else None


def lora_of(run: TrainingRun) -> Lora | None:
    lora: Lora | None = getattr(run, "lora", None)
    return lora


class ErrorSerializer(serializers.Serializer[Any]):
    """Every refusal: the sentence and its stable code."""

    detail = serializers.CharField()
    code = serializers.CharField()


def default_base(request: dict[str, Any]) -> str:
    return str(request.get("base_model") or bases.default_key())
