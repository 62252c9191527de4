"""POST /api/client-logs: what the browser has to say goes into the same log, under the same correlation id."""

import logging
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isengard.logs import correlation
from isengard.logs.serializers import ClientLogs, Received
from isengard.parsers import cleaned
from isengard.throttles import FairUse

log = logging.getLogger("isengard.client")


class ClientLogsView(APIView):
    throttle_classes = [FairUse]
    throttle_scope = "client_logs"

    @extend_schema(request=ClientLogs, responses={201: Received}, tags=["logs"])
    def post(self, request: Request) -> Response:
        """Writes each entry to the service log, redacted. At most 100 entries a request."""
        entries: list[dict[str, Any]] = cleaned(ClientLogs(data=request.data))["entries"]
        for entry in entries:
            _write(entry)
        return Response({"received": len(entries), "correlation_id": correlation.current()}, status=201)


def _write(entry: dict[str, Any]) -> None:
    level = logging.getLevelNamesMapping()[entry["level"]]
    context = {**entry.get("context", {}), "client_timestamp": entry["timestamp"], "source": "client"}
    event = entry.get("event") or "client.log"
    log.log(level, "[CLIENT] %s", entry["message"], extra={"event": event, "context": context})
