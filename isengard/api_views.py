"""The API's own addresses: is it alive, is it ready, what can it do. Part of the composition root."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isengard import health
from isengard.errors import NotFound, Unavailable

ECHOED_HEADERS = (
    "host",
    "origin",
    "referer",
    "user_agent",
    "content_type",
    "x_forwarded_for",
    "x_forwarded_proto",
    "x_real_ip",
)
MASKED_HEADERS = ("authorization", "cookie", "x_api_key")
BODY_PREVIEW = 500

document = extend_schema(responses={200: OpenApiTypes.OBJECT}, tags=["studio"])


class HealthView(APIView):
    @document
    def get(self, request: Request) -> Response:
        """The process answers. Says nothing of what it depends on: see ready."""
        return Response({"status": "healthy"})


class ReadyView(APIView):
    @document
    def get(self, request: Request) -> Response:
        """What the studio depends on and how each is doing; always 200, `status` is ready or degraded."""
        return Response(health.readiness())


class InfoView(APIView):
    @document
    def get(self, request: Request) -> Response:
        """Version, mode, and every parameter of training and generation with type, default and bounds."""
        return Response(health.info())


class EchoView(APIView):
    """For finding out what a proxy does to a request. Only where DEBUG_ENDPOINTS is on."""

    schema = None

    def get(self, request: Request) -> Response:
        _require_debug(request)
        about = {
            "method": request.method,
            "url": request.build_absolute_uri(),
            "path": request.path,
            "query_params": request.query_params.dict(),
            "client_host": request.META.get("REMOTE_ADDR"),
            "client_port": request.META.get("REMOTE_PORT"),
        }
        return Response({**_echo(request), "request": about, "environment": {"api_base_expected": "/api"}})

    def post(self, request: Request) -> Response:
        _require_debug(request)
        body = request.body
        about = {
            "path": request.path,
            "content_type": request.content_type,
            "content_length": len(body),
            "body_preview": body[:BODY_PREVIEW].decode("utf-8", "replace"),
        }
        return Response({**_echo(request), "method": "POST", "request": about})


class VideoView(APIView):
    schema = None

    def post(self, request: Request, rest: str = "") -> Response:
        message = "Video is not built yet: this version trains identities and makes pictures."
        raise Unavailable("not_implemented", message, status=501)


def _require_debug(request: Request) -> None:
    if not settings.DEBUG_ENDPOINTS:
        raise NotFound("not_found", f"There is nothing at {request.path}.")


def _echo(request: Request) -> dict[str, Any]:
    headers: dict[str, Any] = {name: request.headers.get(name.replace("_", "-")) for name in ECHOED_HEADERS}
    headers |= {name: "***" for name in MASKED_HEADERS if name.replace("_", "-") in request.headers}
    headers["correlation_id"] = getattr(request._request, "correlation_id", None)
    headers["interaction_id"] = request.headers.get("X-Interaction-ID")
    return {"status": "echo", "backend": "django", "mode": settings.ISENGARD_MODE, "headers": headers}
