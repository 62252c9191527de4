"""The JSON API of trainings and LoRAs: takes the request apart, calls one service, shows the row. No rules here."""

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from characters.access import get_character
from isengard.jobs import services as jobs
from isengard.jobs import streams
from isengard.jobs.models import ACTIVE, Job
from isengard.logs import correlation
from isengard.parsers import cleaned
from isengard.throttles import FairUse
from training import access, progress, services
from training.models import TrainingRun
from training.serializers import (
    ErrorSerializer,
    TrainingJobSerializer,
    TrainingRequestSerializer,
    default_base,
)

PAGE = 500
REFUSED = {400: ErrorSerializer, 404: ErrorSerializer, 503: ErrorSerializer}
LORA_TYPE = "application/octet-stream"
FILTERS = [
    OpenApiParameter("character_id", str, description="only this character's"),
    OpenApiParameter("status", str, description="comma list of states, in any case"),
    OpenApiParameter("limit", int, description=f"at most so many, 1 to {PAGE}"),
    OpenApiParameter("before", str, description="a job's id: only older ones, for the next page"),
]


def newest(request: Request) -> QuerySet[TrainingRun]:
    """The runs that the query asks for, newest first."""
    runs = TrainingRun.objects.select_related("job", "character", "lora", "parent__job").order_by("-job_id")
    query = request.query_params
    if character := query.get("character_id"):
        runs = runs.filter(character__public_id=character)
    if status := query.get("status"):
        runs = runs.filter(job__state__in=[word.strip().lower() for word in status.split(",")])
    if before := query.get("before"):
        runs = runs.filter(job_id__lt=Job.objects.filter(public_id=before).values("id"))
    return runs


def limit(request: Request, usual: int) -> int:
    """`?limit=`, kept within 1 and PAGE; anything that is no number means the usual."""
    text = request.query_params.get("limit", "")
    # Python refuses to read thousands of digits, and so many are no less than PAGE.
    return min(max(int(text[:6]), 1), PAGE) if text.isdecimal() else usual


def listed(request: Request, runs: QuerySet[TrainingRun]) -> Response:
    return Response(TrainingJobSerializer(runs[: limit(request, PAGE)], many=True).data)


class TrainingListView(APIView):
    throttle_scope = "train"

    def get_throttles(self) -> list[BaseThrottle]:
        return [FairUse()] if self.request.method == "POST" else []

    @extend_schema(
        operation_id="training_list", tags=["training"], parameters=FILTERS, responses=TrainingJobSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """Trainings, newest first."""
        return listed(request, newest(request))

    @extend_schema(
        operation_id="training_start",
        tags=["training"],
        request=TrainingRequestSerializer,
        responses={201: TrainingJobSerializer, **REFUSED},
    )
    def post(self, request: Request) -> Response:
        """Starts a training. What `config` leaves out comes from the preset, then from the base model's defaults."""
        data = cleaned(TrainingRequestSerializer(data=request.data))
        run = services.start_training(
            character=get_character(data["character_id"]),
            preset=data.get("preset_name") or "",
            base=default_base(data),
            synthetic=data["synthetic"],
            values={name: value for name, value in data.get("config", {}).items() if value is not None},
            correlation_id=correlation.current(),
        )
        return Response(TrainingJobSerializer(run).data, status=201)


class SuccessfulTrainingsView(APIView):
    @extend_schema(
        operation_id="training_successful",
        tags=["training"],
        parameters=FILTERS,
        responses=TrainingJobSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Completed trainings, newest first."""
        return listed(request, newest(request).filter(job__state=Job.State.COMPLETED))


class OngoingTrainingsView(APIView):
    @extend_schema(
        operation_id="training_ongoing",
        tags=["training"],
        parameters=FILTERS,
        responses=TrainingJobSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Queued and running trainings, newest first."""
        return listed(request, newest(request).filter(job__state__in=ACTIVE))


class TrainingView(APIView):
    @extend_schema(
        operation_id="training_get", tags=["training"], responses={200: TrainingJobSerializer, 404: ErrorSerializer}
    )
    def get(self, request: Request, job_id: str) -> Response:
        """One training with its progress."""
        return Response(TrainingJobSerializer(access.get_run(job_id)).data)


class CancelTrainingView(APIView):
    @extend_schema(
        operation_id="training_cancel",
        tags=["training"],
        request=None,
        responses={200: TrainingJobSerializer, 400: ErrorSerializer, 404: ErrorSerializer},
    )
    def post(self, request: Request, job_id: str) -> Response:
        """Cancels: a queued training at once, a running one as soon as the engine has stopped."""
        jobs.request_cancel(job=access.get_run(job_id).job)
        return Response(TrainingJobSerializer(access.get_run(job_id)).data)


class TrainingStreamView(APIView):
    @extend_schema(
        operation_id="training_stream",
        tags=["training"],
        responses={(200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR), 404: ErrorSerializer},
    )
    def get(self, request: Request, job_id: str) -> StreamingHttpResponse:
        """Server-sent events: `progress` with the state now and at every change, `complete` at the end."""
        return streams.respond(access.get_run(job_id).job, progress.shape)
