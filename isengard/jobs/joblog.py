"""The log of one job, a file of JSON lines: what its page shows and its bundle holds. Redacted before it is written.

A record has ts, level, service, job_id, msg and, where there is one, correlation_id, event, fields."""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isengard import storage
from isengard.jobs.models import Job
from isengard.logs.redaction import redact

logger = logging.getLogger(__name__)
Record = dict[str, Any]


class JobLog:
    """Appends to a job's log. A full disk loses lines, never the job."""

    def __init__(self, job: Job) -> None:
        self.path = storage.job_log(job.public_id)
        self._common = {"service": "worker", "job_id": job.public_id}
        self._correlation = {"correlation_id": job.correlation_id} if job.correlation_id else {}

    def write(self, level: str, event: str, message: str = "", fields: Mapping[str, Any] | None = None) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        known = {key: value for key, value in (fields or {}).items() if value is not None}
        record: Record = {"ts": moment, "level": level, **self._common, "msg": message or event, **self._correlation}
        record |= {"event": event} | ({"fields": known} if known else {})
        line = json.dumps(redact(record), ensure_ascii=False, default=str)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            logger.warning("The log of %s could not be written: %s", self._common["job_id"], error)


def read(path: Path) -> Iterator[Record]:
    """Every whole record, oldest first; a line cut off by a crash is skipped, a missing file is an empty log."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue
    except FileNotFoundError:
        return


def matching(path: Path, *, level: str = "", event: str = "", search: str = "") -> Iterator[Record]:
    """The records of a level, of an event (or its family: `training` finds training.step), with a text in them."""
    wanted = search.lower()
    for record in read(path):
        name = str(record.get("event", ""))
        if level and record.get("level") != level.upper():
            continue
        if event and name != event and not name.startswith(f"{event}."):
            continue
        if wanted and wanted not in json.dumps(record, ensure_ascii=False).lower():
            continue
        yield record
