"""One id from the request through the log and Celery and back."""

import re

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from rest_framework.test import APIClient

from isengard.celery import app
from isengard.logs import celery_signals, correlation


def test_a_request_without_an_id_is_given_one(api: APIClient) -> None:
    assert re.fullmatch(r"req-[0-9a-f]{12}", api.get("/health")["X-Correlation-ID"])


def test_two_requests_get_different_ids(api: APIClient) -> None:
    assert api.get("/health")["X-Correlation-ID"] != api.get("/health")["X-Correlation-ID"]


@pytest.mark.parametrize("given", ["fe-lk3j2h-abc123def", "custom-correlation-123", "a" * 64])
def test_a_sane_id_is_echoed_verbatim(api: APIClient, given: str) -> None:
    assert api.get("/api/health", headers={"x-correlation-id": given})["X-Correlation-ID"] == given


@pytest.mark.parametrize("given", ["a" * 65, "<b>", "a b", "{$x}", "é", "a;b", "-"])
def test_an_odd_id_is_replaced(api: APIClient, given: str) -> None:
    assert api.get("/health", headers={"X-Correlation-ID": given})["X-Correlation-ID"].startswith("req-")


def test_an_error_carries_the_id_too(api: APIClient) -> None:
    assert api.get("/api/nothing", headers={"X-Correlation-ID": "fe-1"})["X-Correlation-ID"] == "fe-1"


def test_the_interaction_id_is_echoed_only_when_sent(api: APIClient) -> None:
    assert api.get("/health", headers={"X-Interaction-ID": "int-1"})["X-Interaction-ID"] == "int-1"
    assert "X-Interaction-ID" not in api.get("/health")


def test_the_id_is_current_inside_a_view_and_gone_after(api: APIClient) -> None:
    response = api.post("/api/client-logs", {"entries": []}, headers={"X-Correlation-ID": "fe-2"})
    assert response.json()["correlation_id"] == "fe-2"
    assert correlation.current() == ""


def test_the_id_is_current_under_asgi_too(api: APIClient) -> None:
    post = async_to_sync(AsyncClient().post)
    body = {"entries": []}
    answer = post("/api/client-logs", body, content_type="application/json", headers={"X-Correlation-ID": "fe-3"})
    assert answer.json()["correlation_id"] == "fe-3"


def test_a_message_carries_the_id_out() -> None:
    headers: dict[str, str] = {}
    with correlation.using("fe-4"):
        celery_signals.put_in(headers=headers)
    assert headers == {celery_signals.HEADER: "fe-4"}


def test_a_task_works_under_the_id_of_its_message() -> None:
    seen: list[str] = []

    @app.task(name="tests.seen")
    def look() -> None:
        seen.append(correlation.current())

    with correlation.using(""):
        look.apply(headers={celery_signals.HEADER: "fe-5"})
    assert seen == ["fe-5"]


def test_a_task_without_an_id_is_given_one_and_leaves_none_behind() -> None:
    seen: list[str] = []

    @app.task(name="tests.seen_again")
    def look() -> None:
        seen.append(correlation.current())

    look.apply()
    assert seen[0].startswith("req-")
    assert correlation.current() == ""
