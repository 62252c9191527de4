"""The JSON API of the LoRA library: takes the request apart, calls one service, shows the row. No rules here."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters.access import get_character
from isengard import files
from isengard.parsers import cleaned
from isengard.throttles import FairUse
from training import access, loras
from training import services as training
from training.library import binning, receiving, services
from training.library.serializers import (
    DeletedSerializer,
    LoraChangeSerializer,
    LoraInfoSerializer,
    LoraListSerializer,
    LoraUploadSerializer,
)
from training.models import Lora
from training.serializers import ErrorSerializer

LORA_TYPE = "application/octet-stream"
ONE = {200: LoraInfoSerializer, 404: ErrorSerializer}


def _shown(lora: Lora, status: int = 200) -> Response:
    return Response(LoraInfoSerializer(access.get_lora(lora.public_id)).data, status=status)


class LoraListView(APIView):
    @extend_schema(
        operation_id="loras_list",
        tags=["loras"],
        parameters=[OpenApiParameter("character_id", str, description="only this character's")],
        responses=LoraListSerializer,
    )
    def get(self, request: Request) -> Response:
        """All LoRAs of the library, newest first: trained here, published checkpoints and uploaded files."""
        found = access.loras().newest_first()
        if character := request.query_params.get("character_id"):
            found = found.filter(character__public_id=character)
        shown: list[Any] = list(found)
        return Response(LoraListSerializer({"loras": shown, "total_count": len(shown)}).data)


class LoraUploadView(APIView):
    throttle_scope = "upload"
    throttle_classes = [FairUse]

    @extend_schema(
        operation_id="loras_upload",
        tags=["loras"],
        request={"multipart/form-data": LoraUploadSerializer},
        responses={201: LoraInfoSerializer, 400: ErrorSerializer, 404: ErrorSerializer, 413: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """A FLUX.1 LoRA of any key style as a version of a character. `report` says what was recognised in it."""
        given = cleaned(LoraUploadSerializer(data=request.data))
        character = get_character(given["character_id"]) if given.get("character_id") else None
        file = given["file"]
        with receiving.received(file, file.name) as path:
            lora = receiving.upload(
                path=path,
                filename=file.name,
                character=character,
                name=given.get("name", ""),
                trigger_word=given.get("trigger_word", ""),
            )
        return _shown(lora, 201)


class LoraView(APIView):
    @extend_schema(operation_id="loras_get", tags=["loras"], responses=ONE)
    def get(self, request: Request, lora_id: str) -> Response:
        """One LoRA."""
        return _shown(access.get_lora(lora_id))

    @extend_schema(
        operation_id="loras_change",
        tags=["loras"],
        request=LoraChangeSerializer,
        responses={**ONE, 400: ErrorSerializer},
    )
    def patch(self, request: Request, lora_id: str) -> Response:
        """Renames a LoRA, or sets how strongly it acts where nothing else is said."""
        lora = access.get_lora(lora_id)
        given = cleaned(LoraChangeSerializer(data=request.data))
        services.change(lora=lora, name=given.get("name"), strength=given.get("default_strength"))
        return _shown(lora)

    @extend_schema(
        operation_id="loras_delete", tags=["loras"], responses={200: DeletedSerializer, 404: ErrorSerializer}
    )
    def delete(self, request: Request, lora_id: str) -> Response:
        """Deletes a LoRA, its file a minute later; pictures made with it stay."""
        binning.delete(lora=access.get_lora(lora_id))
        return Response(DeletedSerializer({"status": "deleted", "id": lora_id}).data)


class LoraRestoreView(APIView):
    @extend_schema(operation_id="loras_restore", tags=["loras"], request=None, responses={**ONE, 400: ErrorSerializer})
    def post(self, request: Request, lora_id: str) -> Response:
        """Brings a deleted LoRA back, within a minute."""
        return _shown(binning.restore(public_id=lora_id))


class LoraActivateView(APIView):
    @extend_schema(operation_id="loras_activate", tags=["loras"], request=None, responses=ONE)
    def post(self, request: Request, lora_id: str) -> Response:
        """Makes it the version that its character's pictures are drawn with where none is named."""
        return _shown(training.set_active(lora=access.get_lora(lora_id)))


class LoraDownloadView(APIView):
    @extend_schema(
        operation_id="loras_download",
        tags=["loras"],
        parameters=[OpenApiParameter("style", str, enum=services.STYLES, description="diffusers where none is named")],
        responses={
            (200, LORA_TYPE): OpenApiResponse(OpenApiTypes.BINARY, description="the safetensors file"),
            400: ErrorSerializer,
            404: ErrorSerializer,
        },
    )
    def get(self, request: Request, lora_id: str) -> HttpResponseBase:
        """The LoRA's safetensors file, in diffusers' names or in kohya's; both mean the same weights."""
        key, name = services.file_in_style(access.get_lora(lora_id), request.query_params.get("style") or "diffusers")
        return files.respond(request._request, key, LORA_TYPE, download=name)


class CheckpointPublishView(APIView):
    @extend_schema(
        operation_id="training_publish_checkpoint",
        tags=["loras"],
        request=None,
        responses={201: LoraInfoSerializer, 400: ErrorSerializer, 404: ErrorSerializer},
    )
    def post(self, request: Request, job_id: str, step: int) -> Response:
        """A checkpoint as a version of its character, which becomes the active one."""
        return _shown(loras.publish_checkpoint(checkpoint=access.get_checkpoint(job_id, step)), 201)
