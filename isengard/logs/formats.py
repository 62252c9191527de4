"""How a record is written: one JSON object per line for machines, one plain line for a person at a terminal.

Both carry the correlation id and pass through the redaction; no colours, so that a copied log stays clean."""

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

from isengard.logs import correlation
from isengard.logs.redaction import redact, redact_text


def described(record: logging.LogRecord, service: str) -> dict[str, Any]:
    """The record as redacted plain data: the keys of the service log, optional ones only where they say something."""
    line: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(record.created, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "level": record.levelname,
        "service": service,
        "logger": record.name,
        "message": redact_text(record.getMessage()),
    }
    optional = {
        "correlation_id": getattr(record, "correlation_id", "") or correlation.current(),
        "interaction_id": getattr(record, "interaction_id", ""),
        "event": getattr(record, "event", ""),
        "context": redact(getattr(record, "context", {})),
        "exception": _trace(record),
    }
    return line | {key: value for key, value in optional.items() if value}


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return redact_text("".join(traceback.format_exception(*record.exc_info))[-8000:])


class JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            described(record, self.service), ensure_ascii=False, default=lambda value: redact_text(str(value))
        )


class PlainLines(JsonLines):
    """`08:15:02 INFO web request.end GET /api/health 200`; control characters cannot forge a second line."""

    def format(self, record: logging.LogRecord) -> str:
        line = described(record, self.service)
        message = "".join(char if char.isprintable() else " " for char in line["message"])
        parts = [line["timestamp"][11:19], line["level"], self.service, line.get("event", line["logger"]), message]
        return "\n".join(filter(None, [" ".join(parts), line.get("exception", "")]))
