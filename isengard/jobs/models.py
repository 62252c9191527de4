"""The lifecycle shared by every long piece of work. Knows no product noun: apps hang their rows on a Job one-to-one.

Only `transitions.py` writes `Job.state`."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import timedelta


class JobQuerySet(models.QuerySet["Job"]):
    def active(self) -> "JobQuerySet":
        """Two conditions and no list of states: then the small indexes of queued and of running jobs serve."""
        return self.filter(Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING))

    def queued(self) -> "JobQuerySet":
        return self.filter(state=Job.State.QUEUED)

    def waiting(self) -> "JobQuerySet":
        """Queued jobs that a worker may take: those that nobody paused."""
        return self.queued().filter(held_at=None)

    def running(self) -> "JobQuerySet":
        return self.filter(state=Job.State.RUNNING)

    def newest_first(self) -> "JobQuerySet":
        return self.order_by("-id")

    def in_claim_order(self) -> "JobQuerySet":
        return self.order_by("priority", "position", "id")

    def ahead_of(self, job: "Job") -> "JobQuerySet":
        """Queued jobs of the same lane that a worker takes before `job`."""
        earlier = (
            Q(priority__lt=job.priority)
            | Q(priority=job.priority, position__lt=job.position)
            | Q(priority=job.priority, position=job.position, id__lt=job.pk)
        )
        return self.waiting().filter(earlier, lane=job.lane)

    def stale(self) -> "JobQuerySet":
        """Running jobs whose lease has ended by the database's clock: their worker is lost."""
        return self.running().filter(lease_until__lt=Now())


class Job(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    public_id = models.CharField(max_length=20, unique=True, editable=False)
    kind = models.CharField(max_length=40)
    lane = models.CharField(max_length=8, help_text="which workers may claim it: gpu or cpu")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, editable=False)
    stage = models.CharField(max_length=24, blank=True, help_text="what a running job is doing; for display only")
    message = models.CharField(max_length=300, blank=True)
    priority = models.PositiveSmallIntegerField(default=5, help_text="1 interactive pictures, 5 training, 9 bulk")
    position = models.FloatField(default=0, help_text="order among equals, changed by dragging")

    fence = models.PositiveIntegerField(
        default=0, editable=False, help_text="grows with every claim; every write carries it"
    )
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    owner = models.CharField(max_length=100, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False)
    held_at = models.DateTimeField(null=True, editable=False, help_text="paused: no worker takes it until it goes on")
    asked = models.JSONField(
        default=list, blank=True, editable=False, help_text="what a running job was asked to do besides: save, sample"
    )
    last_seq = models.PositiveIntegerField(default=0, editable=False)
    retry_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="retries", editable=False)
    correlation_id = models.CharField(max_length=64, blank=True)
    label = models.CharField(max_length=200, blank=True, help_text="what the queue shows, e.g. 'Training Mira'")

    step = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    loss = models.FloatField(null=True)
    speed = models.FloatField(null=True, help_text="steps per second, smoothed")
    eta_seconds = models.FloatField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_retryable = models.BooleanField(default=False)
    error_tail = models.TextField(blank=True, help_text="last lines the engine said")
    result = models.JSONField(default=dict, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["lane", "priority", "position", "id"], name="job_claim_order", condition=Q(state="queued")
            ),
            models.Index(fields=["lease_until"], name="job_leases", condition=Q(state="running")),
            models.Index(fields=["kind", "-id"], name="job_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} {self.state}"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def percent(self) -> float:
        """0 to 100; a completed job is 100 whatever its last step was."""
        if self.state == self.State.COMPLETED:
            return 100.0
        return round(100 * min(self.step / self.total, 1), 2) if self.total else 0.0

    @property
    def is_cancelling(self) -> bool:
        return self.state == self.State.RUNNING and self.cancel_requested_at is not None

    @property
    def is_paused(self) -> bool:
        return self.state == self.State.QUEUED and self.held_at is not None

    @property
    def is_pausing(self) -> bool:
        """Asked to pause; its engine still works or saves."""
        return self.state == self.State.RUNNING and self.held_at is not None and self.cancel_requested_at is None

    @property
    def elapsed(self) -> "timedelta | None":
        """Time from start to end (or to now while running); None before the start."""
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at

    @property
    def was_interrupted(self) -> bool:
        """Whether it was taken up again after a pause, a restart or a crash: `elapsed` then holds that time, too."""
        return self.fence > 1


ACTIVE = (Job.State.QUEUED, Job.State.RUNNING)
TERMINAL = (Job.State.COMPLETED, Job.State.FAILED, Job.State.CANCELLED)


class JobEvent(models.Model):
    """The durable log of a job that pages and sockets replay by `seq` (1, 2, 3 … without gaps per job)."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=24, help_text="state, stage, log, sample, checkpoint, preview, output")
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="event_seq_once")]
        ordering = ["seq"]

    def __str__(self) -> str:
        return f"{self.job_id}#{self.seq} {self.kind}"


class JobMetric(models.Model):
    """Numbers of one step, kept so that a loss chart survives a reload. A step repeated by a resume replaces."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="metrics")
    step = models.PositiveIntegerField()
    loss = models.FloatField(null=True)
    learning_rate = models.FloatField(null=True)
    speed = models.FloatField(null=True, help_text="steps per second")
    seconds = models.FloatField(null=True, help_text="since the job's start")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "step"], name="metric_step_once")]
        ordering = ["step"]

    def __str__(self) -> str:
        return f"{self.job_id}@{self.step}"


class JobStat(models.Model):
    """What the machine did while a job ran, one row every few seconds."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="stats")
    seconds = models.FloatField(help_text="since the job's start")
    cpu_percent = models.FloatField(null=True, help_text="of the engine; 100 is all processors")
    rss_bytes = models.PositiveBigIntegerField(null=True)
    gpu_percent = models.FloatField(null=True)
    vram_bytes = models.PositiveBigIntegerField(null=True, help_text="used on the whole GPU")
    celsius = models.FloatField(null=True)
    watts = models.FloatField(null=True)

    class Meta:
        ordering = ["seconds"]

    def __str__(self) -> str:
        return f"{self.job_id} after {self.seconds:.0f} s"


class Worker(models.Model):
    """A lane's worker as it last reported; stale rows are workers that are gone."""

    name = models.CharField(max_length=100, unique=True)
    lane = models.CharField(max_length=8, help_text="gpu0, gpu1 … or cpu")
    host = models.CharField(max_length=100, blank=True)
    pid = models.PositiveIntegerField(default=0)
    device = models.CharField(max_length=120, blank=True, help_text="as people name it: CPU, NVIDIA H200 …")
    machine = models.JSONField(default=dict, help_text="what its engine will find: {device, name, vram_bytes, …}")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    draining = models.BooleanField(default=False)
    started_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["lane", "name"]

    def __str__(self) -> str:
        return self.name
