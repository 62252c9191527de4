"""What a browser may report: bounded entries, because anybody who can reach the page can send them."""

import json
from typing import Any

from rest_framework import serializers

LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL")
MAX_ENTRIES = 100
MAX_CONTEXT = 8192


class ClientEntry(serializers.Serializer[dict[str, Any]]):
    timestamp = serializers.CharField(max_length=40)
    level = serializers.CharField(max_length=10)
    message = serializers.CharField(max_length=4000, allow_blank=True)
    event = serializers.CharField(max_length=80, required=False, allow_null=True)
    context = serializers.DictField(required=False, allow_null=True)  # type: ignore[assignment]  # DRF's own name for another thing

    def validate_level(self, value: str) -> str:
        if value.upper() not in LEVELS:
            raise serializers.ValidationError(f"Use one of {', '.join(LEVELS)}.", code="enum")
        return value.upper()

    def validate_context(self, value: dict[str, Any] | None) -> dict[str, Any]:
        if len(json.dumps(value)) > MAX_CONTEXT:
            raise serializers.ValidationError(f"At most {MAX_CONTEXT} bytes of context fit.", code="too_long")
        return value or {}


class ClientLogs(serializers.Serializer[dict[str, Any]]):
    entries = serializers.ListField(child=ClientEntry(), max_length=MAX_ENTRIES)


class Received(serializers.Serializer[dict[str, Any]]):
    received = serializers.IntegerField()
    correlation_id = serializers.CharField()
