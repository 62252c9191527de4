"""What a request of the API carries: JSON that can be stored and answered, and the values that a view may use.

Every API view reads with the parser (settings, DEFAULT_PARSER_CLASSES) and asks `cleaned`. Knows no app."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.serializers import Serializer


class StorableJSONParser(JSONParser):
    """Refuses lone surrogates ("\\ud800"), which no UTF-8 text can hold, and nesting too deep to be walked."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            data: dict[str, Any] = super().parse(stream, media_type, parser_context)
            # One pass in C; the answer to a refusal repeats what was sent, so no field may hide one.
            json.dumps(data, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
        except UnicodeEncodeError as error:
            raise ParseError("JSON parse error - half of a surrogate pair is no character") from error
        return data


def cleaned(serializer: Serializer[Any]) -> dict[str, Any]:
    """What was sent, checked and converted. ValidationError: it does not fit."""
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values
