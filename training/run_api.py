"""The JSON API of one training's numbers and checkpoints. Takes the request apart, shows rows. No rules here."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isengard.parsers import cleaned
from training import access, checkpoints, curves, resuming
from training.serializers import ErrorSerializer

MISSING = {404: ErrorSerializer}


class NumbersField(serializers.ListField):
    """One number a step, null where none is known."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.FloatField(allow_null=True), **options)


class CurveQuery(serializers.Serializer[Any]):
    smoothing = serializers.FloatField(
        min_value=curves.ROUGHEST,
        max_value=curves.SMOOTHEST,
        default=curves.SMOOTHING,
        help_text="share of the average that a step keeps",
    )
    first = serializers.IntegerField(min_value=0, required=False, help_text="no step before this one")
    last = serializers.IntegerField(min_value=0, required=False, help_text="no step after this one")


@extend_schema_serializer(component_name="TrainingCurve")
class CurveSerializer(serializers.Serializer[Any]):
    steps = serializers.ListField(child=serializers.IntegerField())
    loss = NumbersField()
    smooth = NumbersField(help_text="the loss, smoothed over every step")
    learning_rate = NumbersField()
    speed = NumbersField(help_text="steps a second")
    resumed = NumbersField(help_text="the smoothed loss where the run was taken up again, else null")


@extend_schema_serializer(component_name="TrainingMachine")
class MachineSerializer(serializers.Serializer[Any]):
    steps = serializers.ListField(child=serializers.FloatField(), help_text="minutes since the start")
    cpu = NumbersField(help_text="percent of all processors")
    gpu = NumbersField(help_text="percent")
    ram = NumbersField(help_text="GB, of the engine")
    vram = NumbersField(help_text="GB, of the whole GPU")
    celsius = NumbersField(help_text="of the GPU")
    watts = NumbersField(help_text="of the GPU")


@extend_schema_serializer(component_name="TrainingCheckpoint")
class KeptSerializer(serializers.Serializer[Any]):
    step = serializers.IntegerField()
    loss = serializers.FloatField(allow_null=True, help_text="mean of the steps before it")
    size_bytes = serializers.IntegerField()
    pinned = serializers.BooleanField()
    deleted_because = serializers.CharField(help_text="empty: its file is there")


@extend_schema_serializer(component_name="TrainingState")
class StateSerializer(serializers.Serializer[Any]):
    step = serializers.IntegerField(help_text="the newest that was saved with everything to go on from; 0: none")
    size_bytes = serializers.IntegerField(source="bytes")
    why_not = serializers.CharField(help_text="why it cannot go on with mode go_on; empty when it can")


class PinSerializer(serializers.Serializer[Any]):
    pinned = serializers.BooleanField()


class CurveView(APIView):
    @extend_schema(
        operation_id="training_curve",
        tags=["training"],
        parameters=[CurveQuery],
        responses={200: CurveSerializer, **MISSING},
    )
    def get(self, request: Request, job_id: str) -> Response:
        """The kept metrics, thinned to what a chart can show without losing a peak."""
        query = cleaned(CurveQuery(data=request.query_params.dict()))
        return Response(curves.loss(access.get_run(job_id), **query))


class MachineView(APIView):
    @extend_schema(operation_id="training_machine", tags=["training"], responses={200: MachineSerializer, **MISSING})
    def get(self, request: Request, job_id: str) -> Response:
        """What the machine did meanwhile; a gauge that it lacks is all null."""
        return Response(curves.machine(access.get_run(job_id).job))


class CheckpointsView(APIView):
    @extend_schema(
        operation_id="training_checkpoints", tags=["training"], responses={200: KeptSerializer(many=True), **MISSING}
    )
    def get(self, request: Request, job_id: str) -> Response:
        """Every checkpoint, oldest first, those that were deleted too, with the reason."""
        return Response(KeptSerializer(access.get_run(job_id).checkpoints.all(), many=True).data)


class StateView(APIView):
    @extend_schema(operation_id="training_state", tags=["training"], responses={200: StateSerializer, **MISSING})
    def get(self, request: Request, job_id: str) -> Response:
        """What is kept so that it can go on, and what that costs."""
        return Response(StateSerializer(resuming.kept(access.get_run(job_id))).data)

    @extend_schema(
        operation_id="training_forget_state",
        tags=["training"],
        responses={204: None, 400: ErrorSerializer, **MISSING},
    )
    def delete(self, request: Request, job_id: str) -> Response:
        """Deletes what is kept for that. Checkpoints, samples and the LoRA stay."""
        resuming.forget(run=access.get_run(job_id))
        return Response(status=204)


class PinView(APIView):
    @extend_schema(
        operation_id="training_pin_checkpoint",
        tags=["training"],
        request=PinSerializer,
        responses={200: KeptSerializer, 400: ErrorSerializer, **MISSING},
    )
    def post(self, request: Request, job_id: str, step: int) -> Response:
        """Keeps a checkpoint whatever the policy says, or leaves it to the policy again."""
        told = cleaned(PinSerializer(data=request.data))
        checkpoint = access.get_checkpoint(job_id, step)
        kept = checkpoints.pin(checkpoint=checkpoint, pinned=told["pinned"])
        return Response(KeptSerializer(kept).data)
