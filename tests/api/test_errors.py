"""Every error of the API has one shape, whoever raised it."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.test import Client
from redis.exceptions import ConnectionError
from rest_framework.test import APIClient

from characters import services
from isengard.throttles import FairUse


def test_an_unknown_address_below_api_answers_json(api: APIClient) -> None:
    response = api.get("/api/nothing/here")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
    assert "/api/nothing/here" in response.json()["detail"]


def test_an_unknown_page_answers_html(api: APIClient) -> None:
    response = api.get("/nothing/here")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_a_schema_error_names_field_kind_and_input(api: APIClient) -> None:
    response = api.post("/api/characters", {"name": "x" * 101, "trigger_word": "ohwx"})
    assert response.status_code == 422
    (error,) = response.json()["detail"]
    assert (error["type"], error["loc"], error["input"]) == ("string_too_long", ["body", "name"], "x" * 101)
    assert error["msg"]


def test_every_missing_field_is_listed(api: APIClient) -> None:
    errors = api.post("/api/characters", {}).json()["detail"]
    assert [(error["type"], error["loc"]) for error in errors] == [
        ("missing", ["body", "name"]),
        ("missing", ["body", "trigger_word"]),
    ]


def test_broken_json_is_a_schema_error(api: APIClient) -> None:
    response = api.post("/api/characters", data="{", content_type="application/json")
    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "json_invalid"


def test_a_list_where_an_object_belongs_is_a_schema_error(api: APIClient) -> None:
    response = api.post("/api/characters", [1, 2])
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"


def test_an_error_inside_a_list_is_found_by_its_index(api: APIClient) -> None:
    good = {"timestamp": "t", "level": "info", "message": "m"}
    (error,) = api.post("/api/client-logs", {"entries": [good, {**good, "level": "loud"}]}).json()["detail"]
    assert error["loc"] == ["body", "entries", 1, "level"]
    assert error["input"] == "loud"


def test_another_method_is_405_and_another_type_415(api: APIClient) -> None:
    assert api.put("/api/characters", {}).json()["code"] == "method_not_allowed"
    response = api.post("/api/characters", data="<x/>", content_type="text/xml")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_a_domain_error_keeps_its_code_and_status(api: APIClient) -> None:
    response = api.post("/api/characters", {"name": "Mira", "trigger_word": "two words"})
    assert (response.status_code, response.json()["code"]) == (400, "bad_trigger_word")


@pytest.fixture
def broken() -> Iterator[None]:
    with patch.object(services, "create_character", side_effect=RuntimeError("boom")):
        yield


def test_a_failure_of_ours_is_json_with_the_id_the_log_knows_it_by(api: APIClient, broken: None) -> None:
    client = Client(raise_request_exception=False, headers={"X-Correlation-ID": "fe-abc"})
    body = {"name": "Mira", "trigger_word": "ohwx"}
    response = client.post("/api/characters", body, content_type="application/json")
    assert response.status_code == 500
    assert "fe-abc" in response.json()["detail"]
    assert "boom" not in response.content.decode()


def test_a_body_too_large_for_json_is_413(api: APIClient) -> None:
    body = {"name": "Mira", "trigger_word": "ohwx", "description": "x" * (6 * 1024 * 1024)}
    response = api.post("/api/characters", body)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_the_sixty_first_batch_of_client_logs_is_told_when_to_return(api: APIClient) -> None:
    for _ in range(60):
        assert api.post("/api/client-logs", {"entries": []}).status_code == 201
    response = api.post("/api/client-logs", {"entries": []})
    assert response.status_code == 429
    assert 1 <= response.json()["detail"]["retry_after"] <= 60
    assert response["Retry-After"] == str(response.json()["detail"]["retry_after"])
    assert (response["X-RateLimit-Limit"], response["X-RateLimit-Remaining"]) == ("60", "0")


def test_a_spoofed_forwarding_header_wins_no_new_allowance(api: APIClient) -> None:
    statuses = [
        api.post("/api/client-logs", {"entries": []}, HTTP_X_FORWARDED_FOR=f"10.0.0.{index}").status_code
        for index in range(61)
    ]
    assert statuses[-1] == 429


def test_nobody_is_shut_out_because_the_counts_cannot_be_reached(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("redis is away")

    monkeypatch.setattr(FairUse, "cache", type("Away", (), {"get": away, "set": away})())
    assert api.post("/api/client-logs", {"entries": []}).status_code == 201
