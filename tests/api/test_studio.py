"""The API's own addresses: health, readiness, capabilities, documents, and what is not there on purpose."""

import json
import subprocess
import sys

import pytest
from django.conf import LazySettings
from django.db import OperationalError
from rest_framework.test import APIClient

from isengard import health


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_health_says_healthy_as_json(api: APIClient, path: str) -> None:
    response = api.get(path)
    assert response.json() == {"status": "healthy"}
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/ready", "/api/ready"])
def test_ready_reports_every_dependency(api: APIClient, path: str) -> None:
    body = api.get(path).json()
    assert set(body["dependencies"]) == {"database", "redis", "workers", "storage", "models", "gpu"}
    assert body["dependencies"]["database"]["status"] == "ok"
    assert body["dependencies"]["redis"]["status"] == "ok"


def test_ready_is_degraded_but_answers_200_while_no_worker_is_alive(api: APIClient) -> None:
    response = api.get("/api/ready")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["dependencies"]["workers"]["status"] == "missing"


def test_ready_is_ready_once_every_lane_has_a_worker(api: APIClient) -> None:
    from django.utils import timezone

    from isengard.jobs.models import Worker

    for lane in ("gpu0", "cpu"):
        Worker.objects.create(name=lane, lane=lane, heartbeat_at=timezone.now())
    assert api.get("/api/ready").json()["status"] == "ready"


def test_ready_says_unreachable_when_redis_is_away(api: APIClient, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert api.get("/api/ready").json()["dependencies"]["redis"]["status"] == "unreachable"


def test_ready_tells_no_path_of_the_server(api: APIClient, settings: LazySettings) -> None:
    assert str(settings.VOLUME_ROOT) not in json.dumps(api.get("/api/ready").json())


@pytest.mark.parametrize("path", ["/info", "/api/info"])
def test_info_has_name_version_and_mode(api: APIClient, path: str) -> None:
    body = api.get(path).json()
    assert body["name"] == "Isengard API"
    assert body["version"]
    assert body["mode"] == "fast-test"


def test_every_training_parameter_is_wired_and_typed(api: APIClient) -> None:
    training = api.get("/api/info").json()["training"]
    assert (training["method"], training["backend"]) == ("lora", "native")
    assert {"steps", "learning_rate", "lora_rank", "resolution"} <= set(training["parameters"])
    types = {"int", "float", "enum", "bool", "string", "string_list"}
    assert all(param["wired"] is True and param["type"] in types for param in training["parameters"].values())


def test_every_enum_has_options_and_every_parameter_a_default(api: APIClient) -> None:
    body = api.get("/api/info").json()
    params = {**body["training"]["parameters"], **body["image_generation"]["parameters"]}
    assert all(param.get("options") for param in params.values() if param["type"] == "enum")
    assert all("default" in param for param in params.values())


def test_unsupported_toggles_say_why(api: APIClient) -> None:
    images = api.get("/api/info").json()["image_generation"]
    assert set(images["toggles"]) == {"use_upscale", "use_facedetailer", "use_ipadapter", "use_controlnet"}
    assert all(toggle["supported"] is False and toggle["reason"] for toggle in images["toggles"].values())
    assert all(isinstance(name, str) and name for name in images["model_variants"])


def test_echo_shows_the_request_and_masks_credentials(api: APIClient) -> None:
    response = api.get("/api/_debug/echo?a=1", HTTP_AUTHORIZATION="Bearer geheim", HTTP_X_CORRELATION_ID="fe-1")
    body = response.json()
    assert body["backend"] == "django"
    assert body["request"]["query_params"] == {"a": "1"}
    assert body["headers"]["correlation_id"] == "fe-1"
    assert "geheim" not in json.dumps(body)


def test_echo_shows_at_most_500_bytes_of_a_body(api: APIClient) -> None:
    body = api.post("/api/_debug/echo", data="x" * 900, content_type="text/plain").json()
    assert body["request"]["content_length"] == 900
    assert len(body["request"]["body_preview"]) == 500


def test_echo_is_not_there_unless_asked_for(api: APIClient, settings: LazySettings) -> None:
    settings.DEBUG_ENDPOINTS = False
    assert api.get("/api/_debug/echo").status_code == 404


@pytest.mark.parametrize("path", ["/api/video", "/api/video/generate"])
def test_video_says_that_it_is_not_built_yet(api: APIClient, path: str) -> None:
    response = api.post(path, {})
    assert response.status_code == 501
    assert response.json()["code"] == "not_implemented"


def test_openapi_lists_the_studios_addresses(api: APIClient) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    assert {"/api/health", "/api/ready", "/api/info", "/api/characters", "/api/training", "/api/generation"} <= set(
        paths
    )


def test_openapi_is_made_without_a_warning(api: APIClient, capsys: pytest.CaptureFixture[str]) -> None:
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator

    GENERATOR_STATS.reset()
    SchemaGenerator().get_schema(request=None, public=True)
    GENERATOR_STATS.emit_summary()
    assert capsys.readouterr().err == ""


def test_docs_load_everything_from_the_studio_itself(api: APIClient) -> None:
    page = api.get("/docs").content.decode()
    assert "swagger-ui" in page
    assert "//cdn" not in page


def test_the_web_process_never_imports_torch() -> None:
    code = "import sys, isengard.asgi; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_ready_still_answers_when_the_database_is_away(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("no server")

    monkeypatch.setattr(health, "connection", type("Away", (), {"cursor": staticmethod(away)})())
    response = api.get("/api/ready")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["dependencies"]["database"]["status"] == "unreachable"
