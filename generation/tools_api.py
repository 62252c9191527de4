"""The JSON API of tools and grids: which there are, the pictures they are given, a grid to start. No rules here."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from generation import api, grid, inputs, knobs
from generation.grid import Axis
from generation.serializers import (
    GenerationJobSerializer,
    GridRequestSerializer,
    InputFileSerializer,
    InputSerializer,
    ToolSerializer,
)
from isengard.engine import offers, tools
from isengard.engine.guides import found
from isengard.logs import correlation
from isengard.parsers import cleaned
from training import bases
from training.serializers import ErrorSerializer

BASE = OpenApiParameter("base_model", str, description="the base they are for; pocket or flux-dev by mode")


class ToolsView(APIView):
    @extend_schema(
        operation_id="tool_list", tags=["generation"], parameters=[BASE], responses=ToolSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """Every tool with what it is given, its knobs for a base, and why it cannot be used here, if so."""
        base = bases.find(request.query_params.get("base_model") or bases.default_key())
        guides = {one: found.why_not(one, base, settings.MODELS_DIR) for one in inputs.GUIDES}
        rows = [
            {
                "key": tool.key,
                "label": tool.label,
                "help": tool.help,
                "reason": tools.why_not(tool.key, base, settings.MODELS_DIR),
                "inputs": [_input(one, guides.get(name, "")) for name, one in inputs.kinds(tool.key).items()],
                "loras": tool.loras,
                "parameters": offers.schemas(knobs.declared(base, tool.key, inputs.GUIDES)),
            }
            for tool in tools.TOOLS.values()
        ]
        return Response(ToolSerializer(rows, many=True).data)


def _input(one: tools.Input, reason: str) -> dict[str, Any]:
    required = one.required and one.name not in inputs.GUIDES
    return {"name": one.name, "kind": one.kind, "help": one.help, "required": required, "reason": reason}


class InputsView(APIView):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="generation_input",
        tags=["generation"],
        request=InputFileSerializer,
        responses={201: InputSerializer, 400: ErrorSerializer, 413: ErrorSerializer, 503: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Keeps a picture or a mask for a tool; its id goes into `config.inputs`."""
        given = cleaned(InputFileSerializer(data=request.data))
        key = inputs.keep(given["file"], grey=given["kind"] == "mask")
        width, height = inputs.size_of(key)
        return Response(InputSerializer({"id": key, "width": width, "height": height}).data, status=201)


class GridView(APIView):
    @extend_schema(
        operation_id="generation_grid",
        tags=["generation"],
        request=GridRequestSerializer,
        responses={201: GenerationJobSerializer, **api.REFUSED},
    )
    def post(self, request: Request) -> Response:
        """One job that draws every combination of one to three axes."""
        asked = cleaned(GridRequestSerializer(data=request.data))
        axes = [Axis(axis["kind"], tuple(axis["values"])) for axis in asked["axes"]]
        config = {**asked["config"]}
        config.pop("seeds", None)
        made = grid.start_grid(axes=axes, correlation_id=correlation.current(), **api.asked_of(config))
        return Response(GenerationJobSerializer(made).data, status=201)
