"""Bodies and query strings that no form sends: refused with a sentence, never a crash."""

import pytest
from rest_framework.test import APIClient

JSON = "application/json"


def test_half_of_a_surrogate_pair_is_a_schema_error(api: APIClient) -> None:
    response = api.post("/api/characters", data=rb'{"name": "\ud800", "trigger_word": "ohwx"}', content_type=JSON)
    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "json_invalid"


def test_half_of_a_surrogate_pair_as_a_name_is_a_schema_error(api: APIClient) -> None:
    response = api.post("/api/training", data=rb'{"character_id": "x", "config": {"\udfff": 1}}', content_type=JSON)
    assert response.status_code == 422


def test_a_character_beyond_the_basic_plane_is_fine(api: APIClient) -> None:
    response = api.post("/api/characters", data=rb'{"name": "\ud83d\ude00", "trigger_word": "ohwx"}', content_type=JSON)
    assert response.json()["name"] == "\U0001f600"


def test_json_nested_too_deeply_is_a_schema_error(api: APIClient) -> None:
    response = api.post("/api/characters", data=b"[" * 100_000, content_type=JSON)
    assert response.status_code == 422
    assert "nested too deeply" in response.json()["detail"][0]["msg"]


@pytest.mark.parametrize("path", ["/api/training", "/api/generation"])
def test_a_limit_of_five_thousand_digits_is_only_a_large_limit(api: APIClient, path: str) -> None:
    assert api.get(f"{path}?limit={'9' * 5000}").status_code == 200


def test_a_seed_of_four_hundred_digits_is_too_large(api: APIClient) -> None:
    response = api.post("/api/generation", {"config": {"prompt": "a portrait", "seed": 10**400}})
    assert (response.status_code, response.json()["code"]) == (400, "bad_param")


def test_a_bound_is_written_out_in_full(api: APIClient) -> None:
    response = api.post("/api/generation", {"config": {"prompt": "a portrait", "seed": 2**40}})
    assert response.json()["detail"] == f"seed is {2**40}, but must be at most {2**31 - 1}."


@pytest.mark.parametrize("path", ["/api/jobs?limit=-1", "/api/characters?limit=-1"])
def test_an_error_in_the_query_string_is_placed_there(api: APIClient, path: str) -> None:
    (error,) = api.get(path).json()["detail"]
    assert (error["loc"], error["input"]) == (["query", "limit"], "-1")


def test_asking_the_docs_page_for_its_options_is_no_crash(api: APIClient) -> None:
    assert api.options("/docs").status_code == 405
