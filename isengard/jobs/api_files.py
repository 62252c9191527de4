"""The JSON API of what jobs leave behind: logs, samples, checkpoints, a summary, a bundle for a bug report."""

from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isengard import files, storage
from isengard.errors import NotFound
from isengard.jobs import bundle, joblog
from isengard.jobs.access import get_artifact, get_job
from isengard.jobs.api import query_of
from isengard.jobs.kinds import handler_for
from isengard.jobs.models import Job
from isengard.jobs.serializers import (
    ArtifactListSerializer,
    CheckpointListSerializer,
    LogPageSerializer,
    SummarySerializer,
    artifact_of,
)

PICTURES = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}
BINARY = {(200, "application/octet-stream"): OpenApiTypes.BINARY}


class LogQuery(serializers.Serializer[Any]):
    offset = serializers.IntegerField(min_value=0, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100)
    level = serializers.ChoiceField(["DEBUG", "INFO", "WARNING", "ERROR"], default="", allow_blank=True)
    event = serializers.CharField(default="", allow_blank=True, help_text="an event, or a family: `training`")
    search = serializers.CharField(default="", allow_blank=True)
    order = serializers.ChoiceField(["asc", "desc"], default="asc")

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        return dict(super().to_internal_value({**data, "level": data.get("level", "").upper()}))


class LogFileView(APIView):
    @extend_schema(
        operation_id="jobs_logs", responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY}, tags=["jobs"]
    )
    def get(self, request: Request, job_id: str) -> HttpResponse:
        """The whole log, one JSON object a line."""
        path = storage.job_log(get_job(job_id).public_id)
        if not path.is_file():
            raise NotFound("no_log", f"Job {job_id} has written no log yet")
        response = HttpResponse(path.read_bytes(), content_type="application/x-ndjson")
        response.headers["Content-Disposition"] = f'attachment; filename="{job_id}.jsonl"'
        return response


class LogPageView(APIView):
    @extend_schema(operation_id="jobs_logs_view", parameters=[LogQuery], responses=LogPageSerializer, tags=["jobs"])
    def get(self, request: Request, job_id: str) -> Response:
        """A page of the log. Filters apply before paging, so `total_lines` counts what matches."""
        job, query = get_job(job_id), query_of(request, LogQuery)
        wanted = {key: query[key] for key in ("level", "event", "search")}
        found = list(joblog.matching(storage.job_log(job.public_id), **wanted))
        if query["order"] == "desc":
            found.reverse()
        end = query["offset"] + query["limit"]
        page = [_entry(record) for record in found[query["offset"] : end]]
        return Response({"job_id": job_id, "entries": page, "total_lines": len(found), "has_more": len(found) > end})


def _entry(record: joblog.Record) -> dict[str, Any]:
    return {
        "timestamp": record.get("ts", ""),
        "level": record.get("level", "INFO"),
        "message": record.get("msg", ""),
        "event": record.get("event"),
        "fields": record.get("fields", {}),
    }


class ArtifactsView(APIView):
    @extend_schema(operation_id="jobs_artifacts", responses=ArtifactListSerializer, tags=["jobs"])
    def get(self, request: Request, job_id: str) -> Response:
        """Everything a job has made so far, its log included."""
        job = get_job(job_id)
        found = [artifact_of(job, artifact) for artifact in handler_for(job.kind).artifacts(job)] + _log_of(job)
        answer = {"job_id": job_id, "artifacts": found, "total_count": len(found)}
        return Response(ArtifactListSerializer(answer).data)


def _log_of(job: Job) -> list[dict[str, Any]]:
    path = storage.job_log(job.public_id)
    if not path.is_file():
        return []
    facts = {"name": path.name, "type": "log", "size_bytes": path.stat().st_size, "step": None}
    return [{**facts, "created_at": job.started_at or job.created_at, "url": f"/api/jobs/{job.public_id}/logs"}]


class SampleView(APIView):
    @extend_schema(operation_id="jobs_sample", responses={(200, "image/png"): OpenApiTypes.BINARY}, tags=["jobs"])
    def get(self, request: Request, job_id: str, name: str) -> HttpResponseBase:
        """One sample picture."""
        artifact = get_artifact(get_job(job_id), "sample", name)
        kind = PICTURES.get(Path(artifact["name"]).suffix.lower(), "application/octet-stream")
        return files.respond(request._request, artifact["key"], kind)


class CheckpointsView(APIView):
    @extend_schema(operation_id="jobs_checkpoints", responses=CheckpointListSerializer, tags=["jobs"])
    def get(self, request: Request, job_id: str) -> Response:
        job = get_job(job_id)
        made = handler_for(job.kind).artifacts(job)
        found = [artifact_of(job, artifact) for artifact in made if artifact["type"] == "checkpoint"]
        answer = {"job_id": job_id, "checkpoints": found, "total_count": len(found)}
        return Response(CheckpointListSerializer(answer).data)


class CheckpointView(APIView):
    @extend_schema(operation_id="jobs_checkpoint", responses=BINARY, tags=["jobs"])
    def get(self, request: Request, job_id: str, name: str) -> HttpResponseBase:
        """One checkpoint's LoRA file."""
        job = get_job(job_id)
        artifact = get_artifact(job, "checkpoint", name)
        download = f"{job.public_id}-{artifact['name']}"
        return files.respond(request._request, artifact["key"], "application/octet-stream", download=download)


class SummaryView(APIView):
    @extend_schema(operation_id="jobs_summary", responses=SummarySerializer, tags=["jobs"])
    def get(self, request: Request, job_id: str) -> Response:
        """How a job went, in one object."""
        job = get_job(job_id)
        made = [artifact["type"] for artifact in handler_for(job.kind).artifacts(job)]
        log = storage.job_log(job.public_id)
        counts = {"samples": made.count("sample"), "has_log": log.is_file(), "has_model": "model" in made}
        answer = {
            "job_id": job_id,
            "status": job.state,
            "progress": job.percent,
            "current_step": job.step,
            "total_steps": job.total,
            "created_at": job.created_at,
            "started_at": job.started_at,
            "completed_at": job.finished_at,
            "artifacts": counts,
            "first_error": _first_error(log) if job.state == Job.State.FAILED else None,
            "error_message": job.error_message or None,
        }
        return Response(SummarySerializer(answer).data)


def _first_error(log: Path) -> dict[str, Any] | None:
    record = next(joblog.matching(log, level="ERROR"), None)
    return {"timestamp": record["ts"], "message": record["msg"], "event": record.get("event")} if record else None


class BundleView(APIView):
    @extend_schema(
        operation_id="jobs_debug_bundle", responses={(200, "application/zip"): OpenApiTypes.BINARY}, tags=["jobs"]
    )
    def get(self, request: Request, job_id: str) -> HttpResponse:
        """Everything needed to look into a job elsewhere, without secrets, as a ZIP."""
        job = get_job(job_id)
        response = HttpResponse(bundle.build(job), content_type="application/zip")
        response.headers["Content-Disposition"] = f'attachment; filename="{job_id}_debug.zip"'
        return response
