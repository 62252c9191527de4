"""A running job as its worker sees it: takes in what the engine says, keeps the lease, hears of cancel and shutdown.

Two threads: the worker's (engine events; durable ones are written at once) and a pulse (once a second: the buffered
progress and metrics in one fenced write, the lease, the cancel flag). Knows no product: what an artifact means is the
handler's."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from isengard.jobs import events, transitions
from isengard.jobs.handlers import Handler
from isengard.jobs.joblog import JobLog
from isengard.jobs.models import Job, JobMetric, JobStat
from isengard.jobs.pace import Pace
from isengard.jobs.patience import patiently

logger = logging.getLogger(__name__)
Event = dict[str, Any]

# Longer than an engine may take to start or stay silent (host.Limits): then the worker itself hangs, and lets go.
SILENCE = 150.0
# With heartbeats but nothing else for so long, the page says so; the host ends it later (host.Limits.stall).
STALLED = 600.0
PREVIEW_INTERVAL = 0.5
METRIC_FIELDS = ("loss", "learning_rate", "speed", "seconds")
GAUGES = ("cpu_percent", "rss_bytes", "gpu_percent", "vram_bytes", "celsius", "watts")
# Heartbeats come every 2 s; a chart of hours needs fewer.
STAT_SECONDS = 5.0
# What the log says of a new file; the fields beside it hold its name and numbers.
FILE_WORDS = {
    "sample": "Drew sample {prompt_index} at step {step}",
    "checkpoint": "Saved a checkpoint at step {step}",
    "caption": "Described photo {index}",
    "check": "Check of {name} {state}: {text}",
    "probe": "A step takes {seconds_per_step} s",
    "output": "Drew picture {index} with seed {seed}",
}


class JobContext:
    """Use as a context manager around the engine's work; leaving it writes what is still buffered."""

    def __init__(self, job: Job, handler: Handler, draining: Callable[[], bool] = lambda: False) -> None:
        self.job, self._handler, self._draining = job, handler, draining
        self.log = JobLog(job)
        # Why the engine was told to stop; `lost` means: write nothing any more.
        self.stop: Literal["cancel", "hold", "drain", "lost"] | None = None
        self._buffer_lock, self._write_lock = threading.Lock(), threading.Lock()
        self._fields: dict[str, Any] = {}
        self._metrics: dict[int, JobMetric] = {}
        self._stats: list[JobStat] = []
        self._next_stat = 0.0
        self._asked: set[str] = set()
        self._pace = Pace()
        self._heard = self._worked = self._renewed = time.monotonic()
        self._next_preview = 0.0
        self._ended = threading.Event()
        self._pulse = threading.Thread(target=self._run_pulse, name=f"pulse-{job.public_id}", daemon=True)

    def __enter__(self) -> "JobContext":
        self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._pulse.join()
        patiently(self._beat)

    def should_stop(self) -> bool:
        return self.stop is not None

    def asks(self) -> set[str]:
        """What the engine is to do besides (save, sample); each wish is given once."""
        with self._buffer_lock:
            taken, self._asked = self._asked, set()
        return taken

    def on_event(self, event: Event) -> None:
        """Called by the engine's host for everything but the result."""
        self._heard = time.monotonic()
        if event["type"] != "heartbeat":
            self._worked = self._heard
        take = getattr(self, f"_on_{event['type']}", None)
        if take is None or self.stop == "lost":
            return
        try:
            patiently(lambda: take(event))
        except transitions.LostJob:
            self.stop = "lost"

    # What the engine says

    def _on_progress(self, event: Event) -> None:
        step, total = int(event["step"]), int(event["total"])
        if event.get("message"):
            # A count of something else than steps (photos read): its pace says nothing about the end.
            self._put(step=step, total=total, message=str(event["message"])[:300], speed=None, eta_seconds=None)
            return
        self._pace.update(step, time.monotonic())
        self._put(step=step, total=total, speed=self._pace.speed, eta_seconds=self._pace.eta(total))

    def _on_metric(self, event: Event) -> None:
        numbers = {name: event.get(name) for name in METRIC_FIELDS}
        with self._buffer_lock:
            self._metrics[int(event["step"])] = JobMetric(job=self.job, step=int(event["step"]), **numbers)
        self._put(loss=numbers["loss"])
        loss = "" if numbers["loss"] is None else f", loss {numbers['loss']:.4f}"
        said = f"Step {event['step']}{loss}"
        self.log.write("DEBUG", f"{self.job.kind}.step", said, {"step": event["step"], **numbers})

    def _on_heartbeat(self, event: Event) -> None:
        """What the machine does, for the chart. Buffered: a heartbeat must never wait for the database."""
        gauges = {name: event[name] for name in GAUGES if event.get(name) is not None}
        if not gauges or time.monotonic() < self._next_stat or self.job.started_at is None:
            return
        self._next_stat = time.monotonic() + STAT_SECONDS
        seconds = (timezone.now() - self.job.started_at).total_seconds()
        with self._buffer_lock:
            self._stats.append(JobStat(job=self.job, seconds=seconds, **gauges))

    def _on_stage(self, event: Event) -> None:
        stage, message = str(event["stage"])[:24], str(event.get("message", ""))[:300]
        # The pulse must not write words of the stage before over these.
        with self._write_lock, transitions.held(self.job) as mine:
            with self._buffer_lock:
                self._fields.pop("message", None)
            Job.objects.filter(pk=mine.pk).update(stage=stage, message=message)
            if stage != mine.stage:
                events.append(mine, "stage", {"stage": stage, "message": message})
        self.log.write("INFO", f"stage.{stage}", message)

    def _on_log(self, event: Event) -> None:
        # As Python's logging names them; the log is filtered by that.
        level = str(event.get("level", "INFO")).upper()
        self.log.write(level, str(event.get("event", "engine")), str(event.get("message", "")), event.get("fields"))
        if level != "DEBUG":
            with transitions.held(self.job) as mine:
                events.append(mine, "log", {"level": level} | {key: event.get(key) for key in ("event", "message")})

    def _on_artifact(self, event: Event) -> None:
        with transitions.held(self.job) as mine:
            payload = self._handler.on_event(mine, event)
            if payload is not None:
                events.append(mine, event["type"], payload)
        # What has only begun says the same again when it is done.
        level = "DEBUG" if event.get("state") == "running" else "INFO"
        self.log.write(level, f"{self.job.kind}.{event['type']}", _said(event), payload)

    _on_sample = _on_checkpoint = _on_output = _on_caption = _on_check = _on_probe = _on_artifact

    def _on_preview(self, event: Event) -> None:
        """A picture while it denoises: shown to whoever looks now, and not kept."""
        if time.monotonic() < self._next_preview:
            return
        self._next_preview = time.monotonic() + PREVIEW_INTERVAL
        payload = self._handler.on_event(self.job, event)
        if payload is not None:
            message = {"type": "preview", "job": self.job.public_id, "payload": payload}
            events.publish([(events.group_of(self.job.public_id), message)])

    # The pulse

    def _put(self, **fields: Any) -> None:
        with self._buffer_lock:
            self._fields |= fields

    def _run_pulse(self) -> None:
        try:
            while not self._ended.wait(settings.JOB_POLL_SECONDS):
                try:
                    self._beat()
                except DatabaseError as error:
                    # The engine goes on; what was buffered is written when the database is back.
                    logger.warning("Progress of %s waits for the database: %s", self.job.public_id, error)
                    connection.close()
        finally:
            connection.close()

    def _beat(self) -> None:
        if time.monotonic() - self._worked > STALLED:
            minutes = (time.monotonic() - self._worked) / 60
            self._put(message=f"No progress for {minutes:.0f} minutes. It is ended and tried again if that goes on.")
        with self._write_lock:
            with self._buffer_lock:
                fields, metrics, stats = self._fields, self._metrics, self._stats
                self._fields, self._metrics, self._stats = {}, {}, []
            try:
                mine = self._write(fields, list(metrics.values()), stats)
            except DatabaseError:
                with self._buffer_lock:
                    self._fields, self._metrics = fields | self._fields, metrics | self._metrics
                    self._stats = [*stats, *self._stats]
                raise
        self._hear(mine)
        if mine is not None and fields:
            events.announce(events.snapshot(mine))

    def _write(self, fields: dict[str, Any], metrics: list[JobMetric], stats: list[JobStat]) -> Job | None:
        """One fenced transaction; the row as it is now, or None when it is not ours any more."""
        now, lease = time.monotonic(), {}
        if now - self._renewed >= settings.JOB_RENEW_SECONDS and now - self._heard < SILENCE:
            lease = {"lease_until": transitions.lease_end()}
        with transaction.atomic():
            if (fields or lease) and not transitions.ours(self.job).update(**fields, **lease):
                return None
            mine: Job | None = transitions.ours(self.job).first()
            if mine is not None and metrics:
                JobMetric.objects.bulk_create(
                    metrics, update_conflicts=True, unique_fields=["job", "step"], update_fields=METRIC_FIELDS
                )
            if mine is not None:
                JobStat.objects.bulk_create(stats)
        if lease:
            self._renewed = now
        return mine

    def _hear(self, mine: Job | None) -> None:
        """Loss outranks cancel, cancel outranks pause and shutdown."""
        if mine is None:
            self.stop = "lost"
        elif mine.cancel_requested_at is not None:
            self.stop = "cancel"
        elif self.stop is None and mine.held_at is not None:
            self.stop = "hold"
        elif self.stop is None and self._draining():
            self.stop = "drain"
        if mine is not None and mine.asked:
            taken = transitions.take_asked(self.job)
            with self._buffer_lock:
                self._asked.update(taken)


def _said(event: Event) -> str:
    """A sentence about an artifact, counted from one; "" when the event does not bear its numbers."""
    counted = {key: value + 1 if key in {"index", "prompt_index"} else value for key, value in event.items()}
    try:
        return FILE_WORDS.get(event["type"], "").format(**counted)
    except KeyError:
        return ""
