"""One job as a ZIP for a bug report: what it was, what it said, what it drew, on what machine. Redacted throughout."""

import io
import json
import platform
import zipfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.forms import model_to_dict
from django.utils import timezone

from isengard import storage
from isengard.engine import capabilities
from isengard.jobs.kinds import handler_for
from isengard.jobs.models import Job
from isengard.logs.redaction import redact, redact_text

SERVICES = ("web", "worker")
SERVICE_LINES = 1000
MOST_SAMPLES = 50
README = """What is in here
metadata.json       the job as the database knows it
events.jsonl        what happened to it, in order
job.jsonl           its own log
service_logs/       the last lines of the web and worker logs
samples/            its sample pictures
environment.json    the machine and the settings, without secrets

Passwords, tokens and home folders were taken out. Prompts and captions are in it: look through it before handing it on.
"""


def build(job: Job) -> bytes:
    """The ZIP's bytes; at most MOST_SAMPLES pictures, so that it fits in memory and in a mail."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in _texts(job).items():
            bundle.writestr(f"{job.public_id}/{name}", text)
        samples = [made for made in handler_for(job.kind).artifacts(job) if made["type"] == "sample"]
        for sample in samples[-MOST_SAMPLES:]:
            path = storage.absolute(sample["key"])
            if path.is_file():
                bundle.write(path, f"{job.public_id}/samples/{sample['name']}")
    return buffer.getvalue()


def _texts(job: Job) -> dict[str, str]:
    events = job.events.values("seq", "kind", "payload", "created_at")
    texts = {
        "metadata.json": _json(model_to_dict(job) | {"job_id": job.public_id, "state": job.state}, indent=2),
        "events.jsonl": "".join(_json(event) + "\n" for event in events),
        "job.jsonl": _tail(storage.job_log(job.public_id), None),
        "environment.json": _json(_environment(), indent=2),
        "README.txt": README,
    }
    for service in SERVICES:
        log = Path(settings.LOG_DIR) / service / "latest" / f"{service}.log"
        texts[f"service_logs/{service}.log"] = _tail(log, SERVICE_LINES)
    return texts


def _environment() -> dict[str, Any]:
    machine = capabilities.probe()
    return {
        "mode": settings.ISENGARD_MODE,
        "version": settings.VERSION,
        "log_level": settings.LOG_LEVEL,
        "python": platform.python_version(),
        "system": platform.platform(),
        "torch": machine.torch,
        "device": machine.name,
        "vram_bytes": machine.vram_bytes,
        "ram_bytes": machine.ram_bytes,
        "timestamp": timezone.now(),
    }


def _json(data: Any, indent: int | None = None) -> str:
    return json.dumps(redact(json.loads(json.dumps(data, default=str))), ensure_ascii=False, indent=indent)


def _tail(path: Path, lines: int | None) -> str:
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return "".join(redact_text(line) for line in (text[-lines:] if lines else text))
