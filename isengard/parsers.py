"""JSON that can be stored and answered: refuses what the standard parser lets through and UTF-8 cannot hold.

Used by every API view (settings, DEFAULT_PARSER_CLASSES); knows no app."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


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
