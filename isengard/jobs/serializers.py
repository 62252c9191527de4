"""The shapes of jobs in the JSON API. Never a path of this machine."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from isengard.jobs import services
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job


class JobErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    retryable = serializers.BooleanField()


class JobSerializer(serializers.Serializer[Job]):
    """A job as a list shows it."""

    job_id = serializers.CharField(source="public_id")
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of that name, not the serializer's own label
    status = serializers.ChoiceField(source="state", choices=Job.State.choices)
    cancelling = serializers.BooleanField(source="is_cancelling")
    paused = serializers.BooleanField(source="is_paused", help_text="waits until it is resumed")
    pausing = serializers.BooleanField(source="is_pausing", help_text="running, and about to save and wait")
    stage = serializers.CharField()
    message = serializers.CharField()
    progress = serializers.FloatField(source="percent", help_text="0 to 100")
    current_step = serializers.IntegerField(source="step")
    total_steps = serializers.IntegerField(source="total")
    loss = serializers.FloatField(allow_null=True)
    speed = serializers.FloatField(allow_null=True, help_text="steps per second")
    eta_seconds = serializers.FloatField(allow_null=True)
    attempts = serializers.IntegerField()
    error = serializers.SerializerMethodField()
    error_message = serializers.SerializerMethodField()
    result = serializers.DictField()
    correlation_id = serializers.CharField()
    retry_of = serializers.CharField(source="retry_of.public_id", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(source="finished_at", allow_null=True)

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, Any] | None:
        if not job.error_code:
            return None
        return {"code": job.error_code, "message": job.error_message, "retryable": job.error_retryable}

    def get_error_message(self, job: Job) -> str | None:
        return job.error_message or None


class JobDetailSerializer(JobSerializer):
    """One job, with why it is waiting."""

    queue_position = serializers.SerializerMethodField()
    queue_reason = serializers.SerializerMethodField()

    def get_queue_position(self, job: Job) -> int | None:
        return services.queue_position(job)

    def get_queue_reason(self, job: Job) -> str:
        return services.queue_reason(job)


class JobListSerializer(serializers.Serializer[Any]):
    jobs = JobSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="give it as `before` to get older ones")


class JobEventSerializer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    kind = serializers.CharField()
    payload = serializers.DictField()
    created_at = serializers.DateTimeField()


class JobEventsSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    events = JobEventSerializer(many=True)
    last_seq = serializers.IntegerField()
    has_more = serializers.BooleanField()


class LogEntrySerializer(serializers.Serializer[Any]):
    timestamp = serializers.CharField()
    level = serializers.CharField()
    message = serializers.CharField()
    event = serializers.CharField(allow_null=True)
    fields = serializers.DictField()  # type: ignore[assignment]  # the original's name


class LogPageSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    entries = LogEntrySerializer(many=True)
    total_lines = serializers.IntegerField(help_text="lines that match")
    has_more = serializers.BooleanField()


class ArtifactSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.ChoiceField(choices=["sample", "checkpoint", "model", "output", "log"])
    size_bytes = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    step = serializers.IntegerField(allow_null=True)
    url = serializers.CharField(allow_null=True)


class ArtifactListSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    artifacts = ArtifactSerializer(many=True)
    total_count = serializers.IntegerField()


class CheckpointListSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    checkpoints = ArtifactSerializer(many=True)
    total_count = serializers.IntegerField()


class FirstErrorSerializer(serializers.Serializer[Any]):
    timestamp = serializers.CharField()
    message = serializers.CharField()
    event = serializers.CharField(allow_null=True)


class ArtifactCountsSerializer(serializers.Serializer[Any]):
    samples = serializers.IntegerField()
    has_log = serializers.BooleanField()
    has_model = serializers.BooleanField()


class SummarySerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    status = serializers.ChoiceField(choices=Job.State.choices)
    progress = serializers.FloatField()
    current_step = serializers.IntegerField()
    total_steps = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    artifacts = ArtifactCountsSerializer()
    first_error = FirstErrorSerializer(allow_null=True)
    error_message = serializers.CharField(allow_null=True)


def artifact_of(job: Job, artifact: Artifact) -> dict[str, Any]:
    """As the API lists it: without its storage key, with an address."""
    name, base = quote(artifact["name"]), f"/api/jobs/{job.public_id}"
    addresses = {"sample": f"{base}/artifacts/samples/{name}", "checkpoint": f"{base}/checkpoints/{name}/download"}
    facts: dict[str, Any] = {key: artifact[key] for key in ("name", "type", "size_bytes", "created_at", "step")}
    return {**facts, "url": artifact.get("url") or addresses.get(artifact["type"])}


def progress_of(job: Job, message: dict[str, Any] | None) -> dict[str, Any]:
    """The payload of `/stream`; optional members are left out where they are unknown."""
    woke = message if message and message["type"] == "event" else None
    newest = job.metrics.order_by("-step").values_list("learning_rate", flat=True).first()
    label = job.stage or job.state
    optional = {
        "correlation_id": job.correlation_id or None,
        "loss": None if job.loss is None else round(job.loss, 6),
        "lr": newest,
        "eta_seconds": job.eta_seconds,
        "iteration_speed": None if job.speed is None else round(job.speed, 2),
        "sample_path": _file_of(job, woke, "sample"),
        "checkpoint_path": _file_of(job, woke, "checkpoint"),
        "error": job.error_message or None,
        "error_type": job.error_code or None,
        "error_stack": job.error_tail or None,
    }
    return {
        "job_id": job.public_id,
        "status": job.state,
        "stage": job.stage,
        "step": job.step,
        "steps_total": job.total,
        "progress_pct": job.percent,
        "message": job.message or label,
        "timestamp": iso(timezone.now()),
        **{key: value for key, value in optional.items() if value is not None},
        "progress_bar": {
            "id": job.public_id,
            "type": job.kind,
            "label": label,
            "value": job.percent,
            "total": job.total,
            "current": job.step,
        },
    }


def _file_of(job: Job, event: dict[str, Any] | None, kind: str) -> str | None:
    """The address of the file an event tells of; never where it lies."""
    if event is None or event["kind"] != kind or "name" not in event["payload"]:
        return None
    part = {"sample": "artifacts/samples/{}", "checkpoint": "checkpoints/{}/download"}[kind]
    return f"/api/jobs/{job.public_id}/" + part.format(quote(event["payload"]["name"]))


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
