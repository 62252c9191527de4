"""The JSON API of jobs as such: list, state, events, live stream, cancel, pause, resume,
ask and retry. Files and logs: `api_files.py`."""

import zlib
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isengard.jobs import services, streams
from isengard.jobs.access import get_job
from isengard.jobs.kinds import KINDS
from isengard.jobs.models import Job
from isengard.jobs.serializers import (
    JobDetailSerializer,
    JobEventsSerializer,
    JobListSerializer,
    progress_of,
)
from isengard.parsers import cleaned


class ListQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)
    before = serializers.CharField(default="", help_text="a job's id: only older ones")
    status = serializers.CharField(default="", help_text="comma list of states")
    kind = serializers.ChoiceField(choices=[], default="")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"] = serializers.ChoiceField(choices=sorted(KINDS), default="", allow_blank=True)


class EventQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(min_value=0, default=0, help_text="the last `seq` already known")
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=500)


def query_of(request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """The query string, checked and with defaults; errors become a 422."""
    return cleaned(shape(data=request.query_params.dict()))


class JobsView(APIView):
    @extend_schema(operation_id="jobs_list", parameters=[ListQuery], responses=JobListSerializer, tags=["jobs"])
    def get(self, request: Request) -> Response:
        """Jobs, newest first, a page at a time."""
        query = query_of(request, ListQuery)
        jobs = Job.objects.select_related("retry_of").newest_first()
        if query["before"]:
            jobs = jobs.filter(pk__lt=get_job(query["before"]).pk)
        if query["kind"]:
            jobs = jobs.filter(kind=query["kind"])
        if states := [word.strip().lower() for word in query["status"].split(",") if word.strip()]:
            jobs = jobs.filter(state__in=states)
        page = list(jobs[: query["limit"] + 1])
        more, page = len(page) > query["limit"], page[: query["limit"]]
        return Response(JobListSerializer({"jobs": page, "next": page[-1].public_id if more else None}).data)


class JobView(APIView):
    @extend_schema(operation_id="jobs_get", responses=JobDetailSerializer, tags=["jobs"])
    def get(self, request: Request, job_id: str) -> Response:
        """One job; answers 304 to an If-None-Match that still holds."""
        job = get_job(job_id)
        ahead = services.queue_position(job) or 0
        # The message too: "no progress for 12 minutes" comes without a new event.
        tag = f'W/"{job.last_seq}-{job.step}-{ahead}-{zlib.crc32(job.message.encode())}"'
        if ahead == 0 and request.headers.get("If-None-Match") == tag:
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
        return Response(JobDetailSerializer(job).data, headers={"ETag": tag})


class EventsView(APIView):
    @extend_schema(operation_id="jobs_events", parameters=[EventQuery], responses=JobEventsSerializer, tags=["jobs"])
    def get(self, request: Request, job_id: str) -> Response:
        """What happened to a job after `after`, in order and without gaps."""
        job, query = get_job(job_id), query_of(request, EventQuery)
        page = list(job.events.filter(seq__gt=query["after"])[: query["limit"] + 1])
        found = {"events": page[: query["limit"]], "has_more": len(page) > query["limit"]}
        return Response(JobEventsSerializer({"job_id": job_id, "last_seq": job.last_seq, **found}).data)


class StreamView(APIView):
    @extend_schema(
        operation_id="jobs_stream",
        responses={(200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR)},
        tags=["jobs"],
    )
    def get(self, request: Request, job_id: str) -> StreamingHttpResponse:
        """Server-sent events: `progress`, `keepalive` every 30 s, and `complete` at the end."""
        return streams.respond(get_job(job_id), progress_of)


class CancelView(APIView):
    @extend_schema(operation_id="jobs_cancel", request=None, responses=JobDetailSerializer, tags=["jobs"])
    def post(self, request: Request, job_id: str) -> Response:
        """A queued job is cancelled at once, a running one (`cancelling`) as soon as its engine has stopped."""
        return Response(JobDetailSerializer(services.request_cancel(job=get_job(job_id))).data)


class PauseView(APIView):
    @extend_schema(operation_id="jobs_pause", request=None, responses=JobDetailSerializer, tags=["jobs"])
    def post(self, request: Request, job_id: str) -> Response:
        """A waiting job is passed over (`paused`); a running one (`pausing`) saves and goes back to the queue."""
        return Response(JobDetailSerializer(services.pause(job=get_job(job_id))).data)


class ResumeView(APIView):
    @extend_schema(operation_id="jobs_resume", request=None, responses=JobDetailSerializer, tags=["jobs"])
    def post(self, request: Request, job_id: str) -> Response:
        """A paused job goes on where it stood, in its old place in the line."""
        return Response(JobDetailSerializer(services.resume(job=get_job(job_id))).data)


class AskSerializer(serializers.Serializer[Any]):
    what = serializers.CharField(max_length=20, help_text="save (a checkpoint) or sample (previews)")


class AskView(APIView):
    @extend_schema(operation_id="jobs_ask", request=AskSerializer, responses=JobDetailSerializer, tags=["jobs"])
    def post(self, request: Request, job_id: str) -> Response:
        """Has a running training save or sample after the step it is at."""
        what = cleaned(AskSerializer(data=request.data))["what"]
        job = services.ask(job=get_job(job_id), what=what)
        return Response(JobDetailSerializer(job).data)


class RetryView(APIView):
    @extend_schema(operation_id="jobs_retry", request=None, responses={201: JobDetailSerializer}, tags=["jobs"])
    def post(self, request: Request, job_id: str) -> Response:
        """A new job that asks for the same as a failed or cancelled one."""
        job = services.retry(job=get_job(job_id))
        return Response(JobDetailSerializer(job).data, status=status.HTTP_201_CREATED)
