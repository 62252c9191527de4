"""The JSON API around asking for pictures: styles, wildcards, recipes inside pictures. No rules here."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters import photos
from generation import recall, services, styles, wildcards
from generation.forms import MORE_LORAS
from generation.recall import Recalled
from generation.serializers import PictureFileSerializer, RecalledSerializer, StyleSerializer
from isengard.parsers import cleaned
from training import bases
from training.serializers import ErrorSerializer


class StylesView(APIView):
    @extend_schema(operation_id="style_list", tags=["generation"], responses=StyleSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Prompt styles: the user's own, then those that come with the studio."""
        return Response(StyleSerializer(styles.every(), many=True).data)

    @extend_schema(
        operation_id="style_keep",
        tags=["generation"],
        request=StyleSerializer,
        responses={201: StyleSerializer, 400: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Keeps a style of the user's own."""
        kept = styles.keep(**cleaned(StyleSerializer(data=request.data)))
        return Response(StyleSerializer(styles.Style(kept.name, kept.text, kept.negative, own=True)).data, status=201)


class StyleView(APIView):
    @extend_schema(operation_id="style_delete", tags=["generation"], responses={204: None, 404: ErrorSerializer})
    def delete(self, request: Request, name: str) -> Response:
        """Forgets a style of the user's own."""
        styles.delete(name=name)
        return Response(status=204)


class WildcardsView(APIView):
    @extend_schema(
        operation_id="wildcard_list",
        tags=["generation"],
        responses={200: {"type": "array", "items": {"type": "string"}}},
    )
    def get(self, request: Request) -> Response:
        """Wildcards by the names that prompts call them."""
        return Response(wildcards.names())


class CancelAllView(APIView):
    @extend_schema(
        operation_id="generation_cancel_all",
        tags=["generation"],
        request=None,
        responses={200: {"type": "object", "properties": {"cancelled": {"type": "integer"}}}},
    )
    def post(self, request: Request) -> Response:
        """Cancels every request that waits or draws. Finished pictures stay."""
        return Response({"cancelled": services.cancel_all()})


class RecallView(APIView):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="generation_recall",
        tags=["generation"],
        request=PictureFileSerializer,
        responses={200: RecalledSerializer, 400: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """The recipe inside a picture of this studio, A1111, ComfyUI or InvokeAI, fitted to what can be drawn here."""
        given = cleaned(PictureFileSerializer(data=request.data))
        with photos.received(given["file"]) as (path, _):
            found = recall.of_file(path, bases.default_key())
        found.values = config_of(found)
        return Response(RecalledSerializer(found).data)


def config_of(found: Recalled) -> dict[str, Any]:
    """The form's values by the API's names."""
    own = {"lora", "shape", "quality", "count", *(f"{kind}_{at}" for kind in ("lora", "strength") for at in MORE_LORAS)}
    rows = [(found.values.get(f"lora_{at}"), found.values.get(f"strength_{at}")) for at in MORE_LORAS]
    config = {name: value for name, value in found.values.items() if name not in own}
    more = [{"id": key, "strength": strength} for key, strength in rows if key]
    return {**config, "lora_id": found.values.get("lora"), "more_loras": more}
