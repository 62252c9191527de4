"""A kind of job for tests of the machinery: its label is the engine's script (JSON), its product a row in a table."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connection

from isengard import storage
from isengard.jobs import services
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job
from tests.jobs.scripted_kind import KIND

ended: list[str] = []


def submit(**script: Any) -> Job:
    return services.submit(kind=KIND, label=json.dumps(script), correlation_id="req-0123456789ab")


def once_it_runs(job: Job, act: Callable[[], Any]) -> None:
    """Does it from another thread as soon as the job's first steps are known."""

    def run() -> None:
        while not Job.objects.running().filter(pk=job.pk, step__gt=0).exists():
            time.sleep(0.02)
        act()
        connection.close()

    threading.Thread(target=run, daemon=True).start()


def create_table() -> None:
    """No unique constraint on purpose: a doubled artifact must be seen, not refused."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS scripted_artifact (job text, fence int)")
        cursor.execute("DELETE FROM scripted_artifact")


def artifacts() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT job FROM scripted_artifact ORDER BY job")
        return [row[0] for row in cursor.fetchall()]


class ScriptedHandler:
    def run_dir(self, job: Job) -> Path:
        return storage.absolute(storage.run_key(job.public_id))

    def spec(self, job: Job) -> dict[str, Any]:
        script = json.loads(job.label)
        if script.get("crash_once") and job.attempts > 1:
            script.pop("crash_at")
        folder = str(self.run_dir(job))
        return {"kind": "train", "job": job.public_id, "run_dir": folder, "out_dir": folder, "script": script, **script}

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        return {"name": Path(event["path"]).name, "step": event.get("step")}

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO scripted_artifact VALUES (%s, %s)", [job.public_id, job.fence])
        return {"steps": result.get("steps")}

    def on_ended(self, job: Job) -> None:
        ended.append(job.public_id)

    def resubmit(self, job: Job) -> Job:
        return services.submit(kind=KIND, label=job.label, retry_of=job)

    def on_removed(self, job: Job) -> None:
        storage.remove(storage.run_key(job.public_id))

    def artifacts(self, job: Job) -> list[Artifact]:
        found: list[Artifact] = []
        for event in job.events.filter(kind__in=["sample", "checkpoint"]):
            folder = f"{storage.run_key(job.public_id)}/{event.kind}s"
            key = f"{folder}/{event.payload['name']}"
            facts = {"size_bytes": storage.absolute(key).stat().st_size, "created_at": event.created_at}
            found.append(
                Artifact(name=event.payload["name"], type=event.kind, key=key, step=event.payload["step"], **facts)
            )
        return found
