"""What reaches the log file: one redacted JSON object per line, one session per start."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from isengard.logs import correlation
from isengard.logs.formats import JsonLines, PlainLines
from isengard.logs.session_file import KEPT_SESSIONS, SessionFile


def line(record: logging.LogRecord) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(JsonLines("web").format(record))
    return parsed


def record(message: str, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("isengard.x", logging.INFO, __file__, 1, message, None, None)
    made.__dict__.update(extra)
    return made


def test_a_line_has_the_required_members_and_no_empty_ones() -> None:
    assert set(line(record("hello"))) == {"timestamp", "level", "service", "logger", "message"}
    assert line(record("hello"))["timestamp"].endswith("Z")


def test_a_line_carries_the_current_correlation_id() -> None:
    with correlation.using("fe-1"):
        assert line(record("hello"))["correlation_id"] == "fe-1"


def test_message_context_and_trace_are_redacted() -> None:
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        trouble = sys.exc_info()
    text = JsonLines("web").format(record("sk-abcdefgh1", context={"token": "abc"}, exc_info=trouble))
    assert "ValueError" in text
    assert not any(secret in text for secret in ("hunter2", "sk-abcdefgh1", '"abc"'))


def test_a_value_json_cannot_hold_is_written_as_text() -> None:
    assert line(record("x", context={"path": Path("/srv/x")}))["context"] == {"path": "/srv/x"}


def test_a_message_cannot_forge_a_second_line() -> None:
    assert "\n" not in PlainLines("web").format(record("one\n2026 INFO two\x1b[31m"))
    assert "\n" not in JsonLines("web").format(record("one\ntwo"))


def test_a_second_start_archives_the_session_before(tmp_path: Path) -> None:
    for text in ("first", "second"):
        handler = SessionFile(tmp_path, "web")
        handler.emit(record(text))
        handler.close()
    assert "second" in (tmp_path / "web/latest/web.log").read_text()
    (old,) = (tmp_path / "web/archive").iterdir()
    assert "first" in (old / "web.log").read_text()


def test_a_second_process_of_the_service_shares_the_session(tmp_path: Path) -> None:
    first, second = SessionFile(tmp_path, "web"), SessionFile(tmp_path, "web")
    first.emit(record("first"))
    second.emit(record("second"))
    text = (tmp_path / "web/latest/web.log").read_text()
    assert "first" in text
    assert "second" in text
    first.close()
    second.close()


def test_only_the_newest_sessions_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT_SESSIONS + 3):
        (tmp_path / "web/archive" / f"20200101_{number:06d}").mkdir(parents=True)
    (tmp_path / "web/latest").mkdir()
    (tmp_path / "web/latest/web.log").write_text("old\n")
    handler = SessionFile(tmp_path, "web")
    handler.begin()
    handler.close()
    assert len(list((tmp_path / "web/archive").iterdir())) == KEPT_SESSIONS


def test_a_quiet_command_leaves_no_file(tmp_path: Path) -> None:
    SessionFile(tmp_path, "cli").close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.CompletedProcess[str]:
    """A web process that logs one line and ends."""
    monkeypatch.setenv("ISENGARD_SERVICE", "web")
    monkeypatch.setenv("LOG_DIR", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "isengard.settings")
    code = "import django, logging; django.setup(); logging.getLogger('x').info('hf_abcdefghij %s', 1)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_a_service_writes_the_same_lines_to_its_file_and_to_stdout(
    started: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    lines = [json.loads(text) for text in started.stdout.splitlines()]
    assert (tmp_path / "web/latest/web.log").read_text() == started.stdout
    assert lines[0]["event"] == "system.startup"
    assert lines[1]["message"] == "hf_***REDACTED*** 1"


def test_a_request_is_logged_at_start_and_end(api: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "isengard.requests"):
        api.get("/api/characters", headers={"X-Interaction-ID": "int-7"})
    start, end = [item for item in caplog.records if item.name == "isengard.requests"]
    assert (start.event, end.event) == ("request.start", "request.end")
    assert end.context["status"] == 200
    assert end.context["duration_ms"] > 0
    assert end.interaction_id == "int-7"
