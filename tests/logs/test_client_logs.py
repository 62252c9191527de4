"""POST /api/client-logs: the browser's words in the same log, bounded."""

import logging
from typing import Any

import pytest
from rest_framework.test import APIClient

ENTRY = {"timestamp": "2026-01-01T00:00:00Z", "level": "error", "message": "upload failed", "context": {"page": "/x"}}


def send(api: APIClient, *entries: dict[str, Any]) -> Any:
    return api.post("/api/client-logs", {"entries": list(entries)})


def test_entries_are_counted(api: APIClient) -> None:
    response = send(api, ENTRY, ENTRY)
    assert response.status_code == 201
    assert response.json()["received"] == 2


def test_an_entry_is_logged_at_its_level_as_the_clients(api: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    send(api, ENTRY)
    (record,) = [item for item in caplog.records if item.name == "isengard.client"]
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "[CLIENT] upload failed")
    assert record.event == "client.log"
    assert record.context["source"] == "client"


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": "__class__"},
        {"message": "x" * 4001},
        {"context": {"a": "x" * 9000}},
        {"event": "x" * 81},
        {"timestamp": None},
    ],
)
def test_an_odd_entry_is_refused(api: APIClient, wrong: dict[str, Any]) -> None:
    assert send(api, {**ENTRY, **wrong}).status_code == 422


def test_more_than_a_hundred_entries_are_refused(api: APIClient) -> None:
    assert send(api, *[ENTRY] * 101).status_code == 422
