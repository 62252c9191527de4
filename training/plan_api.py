"""The JSON API of plans and of second tries: what a training would take, and why one failed. No rules here."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters.access import get_character
from isengard.errors import Invalid
from isengard.parsers import cleaned
from training import access, fixes, planning, presets, services, user_presets
from training.models import TrainingRun
from training.serializers import ErrorSerializer, TrainingConfigSerializer, TrainingJobSerializer, default_base

REFUSED = {400: ErrorSerializer, 404: ErrorSerializer, 503: ErrorSerializer}


class PlanRequestSerializer(serializers.Serializer[Any]):
    """As for starting a training, but nobody need be chosen yet."""

    character_id = serializers.CharField(max_length=40, required=False, help_text="whose photos count; else 15 do")
    config = TrainingConfigSerializer(required=False)
    preset_name = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=40)
    synthetic = serializers.BooleanField(required=False, default=True)
    base_model = serializers.CharField(required=False, max_length=40)


class DecisionSerializer(serializers.Serializer[Any]):
    setting = serializers.CharField()
    value = serializers.JSONField()
    text = serializers.CharField()


class DiskSerializer(serializers.Serializer[Any]):
    cache = serializers.IntegerField(help_text="shared by later trainings; can be cleared")
    checkpoints = serializers.IntegerField()
    samples = serializers.IntegerField()
    total = serializers.IntegerField()


class PlanSerializer(serializers.Serializer[Any]):
    """Bytes and seconds. Memory is the GPU's where there is one."""

    fits = serializers.BooleanField()
    problem = serializers.CharField(allow_blank=True, help_text="why it could not start; empty when it can")
    advice = serializers.DictField(help_text="changes with which it would fit; empty when it fits or nothing helps")
    config = serializers.DictField(help_text="the settings that it would run with")
    decisions = DecisionSerializer(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    device = serializers.CharField()
    kind = serializers.ChoiceField(["cpu", "cuda"])
    seconds = serializers.FloatField()
    seconds_per_step = serializers.FloatField()
    measured_runs = serializers.IntegerField(help_text="trainings on this machine behind the seconds; 0: a guess")
    memory_bytes = serializers.IntegerField()
    memory_available_bytes = serializers.IntegerField()
    ram_bytes = serializers.IntegerField()
    disk_bytes = DiskSerializer()
    recompute = serializers.BooleanField(help_text="whether activations are computed twice to save memory")


class PlanView(APIView):
    @extend_schema(
        operation_id="training_plan",
        tags=["training"],
        request=PlanRequestSerializer,
        responses={200: PlanSerializer, **REFUSED},
    )
    def post(self, request: Request) -> Response:
        """What a training with these values would take, and how it would be made to fit. Starts nothing."""
        found = _plan(cleaned(PlanRequestSerializer(data=request.data)))
        more = {"problem": found.problem, "advice": found.advice, "config": found.fit.params}
        return Response({**more, **found.to_dict()})


def _plan(asked: dict[str, Any]) -> planning.Plan:
    base, preset, photos = default_base(asked), asked.get("preset_name") or "", presets.USUAL_PHOTOS
    if "character_id" in asked:
        images = get_character(asked["character_id"]).images.for_training(synthetic=asked["synthetic"])
        photos = images.count() or photos
    chosen = user_presets.named(base, preset, photos)
    values = {name: value for name, value in asked.get("config", {}).items() if value is not None}
    params = services.training_params(base, {**chosen.values, **values})
    return planning.preview(base, preset, params, photos)


class OfferSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the serializer's own label
    step = serializers.IntegerField(help_text="the one after which it goes on; 0: it begins from the start")
    values = serializers.DictField(help_text="what it changes; empty: the character's photos of now instead")


class FailureSerializer(serializers.Serializer[Any]):
    cause = serializers.CharField(allow_blank=True)
    offers = OfferSerializer(many=True)


class RetryRequestSerializer(serializers.Serializer[Any]):
    fix = serializers.CharField(required=False, max_length=40, help_text="the key of an offer")
    config = TrainingConfigSerializer(required=False, help_text="changes of your own; not together with fix")


class FailureView(APIView):
    @extend_schema(
        operation_id="training_failure",
        tags=["training"],
        responses={200: FailureSerializer, 404: ErrorSerializer},
    )
    def get(self, request: Request, job_id: str) -> Response:
        """Why a training failed and what may help; an empty cause and no offers when it did not."""
        failure = fixes.of(access.get_run(job_id)) or fixes.Failure("", ())
        return Response(FailureSerializer(failure).data)


class RetryTrainingView(APIView):
    @extend_schema(
        operation_id="training_retry",
        tags=["training"],
        request=RetryRequestSerializer,
        responses={201: TrainingJobSerializer, **REFUSED},
    )
    def post(self, request: Request, job_id: str) -> Response:
        """Starts a failed or cancelled training again: as it was, with an offered change, or with your own."""
        asked = cleaned(RetryRequestSerializer(data=request.data))
        return Response(TrainingJobSerializer(_again(access.get_run(job_id), asked)).data, status=201)


def _again(run: TrainingRun, asked: dict[str, Any]) -> TrainingRun:
    if "fix" in asked and "config" in asked:
        raise Invalid("fix_or_config", "Give either the key of an offer (fix) or changes of your own (config).")
    if "fix" in asked:
        return fixes.apply(run=run, key=asked["fix"])
    config = asked.get("config", {})
    return fixes.retry(run=run, values={name: value for name, value in config.items() if value is not None})
