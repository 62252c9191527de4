"""The JSON API of versions that begin from others, and of comparisons. Takes requests apart, calls one service."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from characters.access import get_character
from isengard.errors import Conflict, Invalid
from isengard.logs import correlation
from isengard.parsers import cleaned
from isengard.throttles import FairUse
from training import access, comparing, continuing, resuming, sweeps
from training.models import TrainingSweep
from training.serializers import (
    ErrorSerializer,
    TrainingConfigSerializer,
    TrainingJobSerializer,
    TrainingRequestSerializer,
    default_base,
    lora_of,
)

REFUSED = {400: ErrorSerializer, 404: ErrorSerializer, 503: ErrorSerializer}


class Throttled(APIView):
    """Starts trainings, so it counts as such."""

    throttle_scope = "train"

    def get_throttles(self) -> list[BaseThrottle]:
        return [FairUse()] if self.request.method == "POST" else []


class ContinueSerializer(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(
        ["go_on", "longer", "warm"],
        help_text="go_on: one that was stopped or failed goes on after its newest saved step; longer: steps and "
        "optimizer of a finished one go on; warm: a new version begins from its LoRA",
    )
    steps = serializers.IntegerField(required=False, help_text="longer: how many more")
    config = TrainingConfigSerializer(required=False, help_text="warm: what is to differ from the training before")
    preset_name = serializers.CharField(required=False, allow_blank=True, max_length=40, help_text="warm")
    synthetic = serializers.BooleanField(required=False, default=True, help_text="warm")


class ContinueView(Throttled):
    @extend_schema(
        operation_id="training_continue",
        tags=["training"],
        request=ContinueSerializer,
        responses={201: TrainingJobSerializer, **REFUSED},
    )
    def post(self, request: Request, job_id: str) -> Response:
        """A training that goes on with another: from where it was stopped, longer, or as a new version of its LoRA."""
        data = cleaned(ContinueSerializer(data=request.data))
        run = access.get_run(job_id)
        if data["mode"] == "go_on":
            if extra := sorted({"config", "preset_name", "steps"} & set(data)):
                raise Invalid("bad_param", f"{extra[0]} cannot change when a training goes on where it was stopped.")
            return Response(TrainingJobSerializer(resuming.go_on(run=run)).data, status=201)
        if data["mode"] == "longer":
            if "steps" not in data:
                raise Invalid("bad_param", "Say in `steps` for how many more steps.")
            if extra := sorted({"config", "preset_name"} & set(data)):
                raise Invalid("bad_param", f"{extra[0]} cannot change when a training goes on. Use mode warm for that.")
            again = continuing.train_longer(run=run, steps=data["steps"], correlation_id=correlation.current())
            return Response(TrainingJobSerializer(again).data, status=201)
        if "steps" in data:
            raise Invalid("bad_param", "`steps` belongs to mode longer; a new version takes them from `config`.")
        if (lora := lora_of(run)) is None:
            raise Conflict("no_lora", "This training has no LoRA to begin from.")
        again = continuing.new_version(
            lora=lora,
            preset=data.get("preset_name", ""),
            values={name: value for name, value in data.get("config", {}).items() if value is not None},
            synthetic=data["synthetic"],
            correlation_id=correlation.current(),
        )
        return Response(TrainingJobSerializer(again).data, status=201)


class SweepRequestSerializer(TrainingRequestSerializer):
    grid = serializers.DictField(
        child=serializers.ListField(max_length=sweeps.MOST_RUNS), help_text='e.g. {"lora_rank": [8, 16]}; one or two'
    )


class SweepRunSerializer(serializers.Serializer[Any]):
    values = serializers.SerializerMethodField(help_text="its point of the grid")
    smoothed_loss = serializers.FloatField(source="loss", allow_null=True)
    training = TrainingJobSerializer(source="run")

    def get_values(self, row: dict[str, Any]) -> dict[str, Any]:
        return sweeps.point(row["run"], row["run"].sweep)


class SweepSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    character_id = serializers.CharField()
    grid = serializers.DictField()
    runs = SweepRunSerializer(many=True)


def shaped(sweep: TrainingSweep) -> dict[str, Any]:
    rows = comparing.rows(sweep, comparing.runs_of(sweep))
    facts = {"id": sweep.pk, "character_id": sweep.character.public_id, "grid": sweep.axes, "runs": rows}
    return dict(SweepSerializer(facts).data)


class SweepListView(Throttled):
    @extend_schema(
        operation_id="sweeps_start",
        tags=["training"],
        request=SweepRequestSerializer,
        responses={201: SweepSerializer, **REFUSED},
    )
    def post(self, request: Request) -> Response:
        """Starts a grid of trainings, 2 to 12, that differ in one or two parameters."""
        data = cleaned(SweepRequestSerializer(data=request.data))
        sweep = sweeps.start(
            character=get_character(data["character_id"]),
            preset=data.get("preset_name") or "",
            base=default_base(data),
            synthetic=data["synthetic"],
            values={name: value for name, value in data.get("config", {}).items() if value is not None},
            axes=data["grid"],
            correlation_id=correlation.current(),
        )
        return Response(shaped(sweep), status=201)


class SweepView(APIView):
    @extend_schema(operation_id="sweeps_get", tags=["training"], responses={200: SweepSerializer, 404: ErrorSerializer})
    def get(self, request: Request, sweep_id: int) -> Response:
        """A comparison with its trainings."""
        return Response(shaped(access.get_sweep(sweep_id)))


class SweepSeriesView(APIView):
    @extend_schema(
        operation_id="sweeps_series",
        tags=["training"],
        responses={200: OpenApiTypes.OBJECT, 404: ErrorSerializer},
    )
    def get(self, request: Request, sweep_id: int) -> Response:
        """`steps`, and smoothed losses as `run1`, `run2`, … in the order of the trainings; null where there is none."""
        return Response(comparing.series(access.get_sweep(sweep_id)))


class KeepBestSerializer(serializers.Serializer[Any]):
    training_id = serializers.CharField(max_length=20)


class SweepKeepView(APIView):
    @extend_schema(
        operation_id="sweeps_keep",
        tags=["training"],
        request=KeepBestSerializer,
        responses={200: SweepSerializer, 400: ErrorSerializer, 404: ErrorSerializer},
    )
    def post(self, request: Request, sweep_id: int) -> Response:
        """Makes one training's LoRA the active version; deletes the LoRAs and checkpoints of the others."""
        asked = cleaned(KeepBestSerializer(data=request.data))
        sweep = access.get_sweep(sweep_id)
        sweeps.keep(sweep=sweep, best=access.get_run(asked["training_id"]))
        return Response(shaped(sweep))
