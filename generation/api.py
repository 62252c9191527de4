"""The JSON API of pictures: takes the request apart, calls one service, shows the row. No rules here."""

import re
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from characters.access import get_character
from characters.models import Character
from generation import access, inputs, keeping, services, striking, thumbs, wearing
from generation.gallery import binning
from generation.gallery.serializers import DeletedOut
from generation.models import Generation, Output
from generation.serializers import GenerationJobSerializer, GenerationRequestSerializer, KeepSerializer, KeptSerializer
from generation.wearing import Worn
from isengard import files, storage
from isengard.errors import NotFound
from isengard.jobs import services as jobs
from isengard.jobs import streams
from isengard.jobs.models import Job
from isengard.logs import correlation
from isengard.parsers import cleaned
from isengard.throttles import FairUse
from training import progress
from training.access import get_lora
from training.api import limit
from training.serializers import ErrorSerializer

USUAL = 20
PREVIEW_NAME = re.compile(r"preview-(\d{2})\.jpg")
REFUSED = {400: ErrorSerializer, 404: ErrorSerializer, 503: ErrorSerializer}
PNG = {(200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY), 404: ErrorSerializer}
FILTERS = [
    OpenApiParameter("character_id", str, description="only this character's"),
    OpenApiParameter("status", str, description="comma list of states, in any case"),
    OpenApiParameter("limit", int, description="at most so many, 1 to 500; 20 unless told"),
    OpenApiParameter("before", str, description="a job's id: only older ones, for the next page"),
]


def rows() -> QuerySet[Generation]:
    related = ("job", "character", "lora")
    return Generation.objects.select_related(*related).prefetch_related("outputs").order_by("-job_id")


def chosen(lora_id: str | None) -> tuple[Character | None, Worn | None]:
    """What `lora_id` names: a LoRA, a checkpoint, or a character whose active LoRA is meant."""
    if not lora_id:
        return None, None
    if lora_id.startswith("char-"):
        found = Character.objects.filter(public_id=lora_id).first()
        if found is None:
            raise NotFound("not_found", f"Character LoRA {lora_id} not found")
        return found, None
    worn = wearing.get(lora_id) if "@" in lora_id else wearing.of_lora(get_lora(lora_id))
    return worn.character, worn


def asked_of(given: dict[str, Any]) -> dict[str, Any]:
    """A config as the service takes it, name by name; what nobody knows goes along to be refused there."""
    config = dict(given)
    character, worn = chosen(config.pop("lora_id", None))
    more = [(wearing.get(row["id"]), row.get("strength")) for row in config.pop("more_loras", ())]
    keys, source = inputs_of(config.pop("inputs", {}))
    return {
        "prompt": config.pop("prompt"),
        "character": character,
        "worn": worn,
        "more": more,
        "base": config.pop("base_model", None) or "",
        "seed": config.pop("seed", None),
        "strength": config.pop("lora_strength", None),
        "styles": config.pop("styles", ()),
        "seeds": config.pop("seeds", "increment"),
        "aspect_ratio": config.pop("aspect_ratio", ""),
        "quality": config.pop("quality", ""),
        "tool": config.pop("tool", "draw"),
        "inputs": keys,
        "source": source,
        "values": config,
    }


def inputs_of(given: dict[str, str]) -> tuple[dict[str, str], Output | None]:
    """Keys of what a tool is given, and the drawn picture among them that is the source: `gen-…:0` names one."""
    keys: dict[str, str] = {}
    source = None
    for name, word in given.items():
        job, _, index = word.partition(":")
        if not (index.isdecimal() and len(index) < 6):
            keys[name] = word
            continue
        output = access.get_output(job, int(index))
        keys[name] = inputs.of_output(output)
        source = output if name == "source" else source
    return keys, source


class GenerationListView(APIView):
    throttle_scope = "generate"

    def get_throttles(self) -> list[BaseThrottle]:
        return [FairUse()] if self.request.method == "POST" else []

    @extend_schema(
        operation_id="generation_list",
        tags=["generation"],
        parameters=FILTERS,
        responses=GenerationJobSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Jobs of pictures, newest first."""
        found, query = rows(), request.query_params
        if character := query.get("character_id"):
            found = found.filter(character__public_id=character)
        if status := query.get("status"):
            found = found.filter(job__state__in=[word.strip().lower() for word in status.split(",")])
        if before := query.get("before"):
            found = found.filter(job_id__lt=Job.objects.filter(public_id=before).values("id"))
        return Response(GenerationJobSerializer(found[: limit(request, USUAL)], many=True).data)

    @extend_schema(
        operation_id="generation_start",
        tags=["generation"],
        request=GenerationRequestSerializer,
        responses={201: GenerationJobSerializer, **REFUSED},
    )
    def post(self, request: Request) -> Response:
        """Asks for pictures: one prompt, `count` seeds that follow one another."""
        asked = cleaned(GenerationRequestSerializer(data=request.data))
        request_facts = {name: asked[name] for name in ("count", "batches")}
        generation = services.start_generation(
            **asked_of(asked["config"]), **request_facts, correlation_id=correlation.current()
        )
        return Response(GenerationJobSerializer(generation).data, status=201)


class GenerationView(APIView):
    @extend_schema(
        operation_id="generation_get",
        tags=["generation"],
        responses={200: GenerationJobSerializer, 404: ErrorSerializer},
    )
    def get(self, request: Request, job_id: str) -> Response:
        """One job of pictures with its progress and what it has made so far."""
        return Response(GenerationJobSerializer(access.get_generation(job_id)).data)


class CancelGenerationView(APIView):
    @extend_schema(
        operation_id="generation_cancel",
        tags=["generation"],
        request=None,
        responses={200: GenerationJobSerializer, 400: ErrorSerializer, 404: ErrorSerializer},
    )
    def post(self, request: Request, job_id: str) -> Response:
        """Cancels: queued pictures at once, running ones between two steps. Finished pictures stay."""
        jobs.request_cancel(job=access.get_generation(job_id).job)
        return Response(GenerationJobSerializer(access.get_generation(job_id)).data)


class CancelPictureView(APIView):
    @extend_schema(
        operation_id="generation_output_cancel",
        tags=["generation"],
        request=None,
        responses={200: GenerationJobSerializer, 400: ErrorSerializer, 404: ErrorSerializer},
    )
    def post(self, request: Request, job_id: str, index: int) -> Response:
        """Cancels one picture that waits or is drawn; the others of the job go on. The last one cancels the job."""
        striking.strike(generation=access.get_generation(job_id), index=index)
        return Response(GenerationJobSerializer(access.get_generation(job_id)).data)


class GenerationStreamView(APIView):
    @extend_schema(
        operation_id="generation_stream",
        tags=["generation"],
        responses={(200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR), 404: ErrorSerializer},
    )
    def get(self, request: Request, job_id: str) -> StreamingHttpResponse:
        """Server-sent events: `progress` with the state now and at every change, `complete` at the end."""
        return streams.respond(access.get_generation(job_id).job, progress.shape)


class OutputView(APIView):
    @extend_schema(
        operation_id="generation_output",
        tags=["generation"],
        parameters=[OpenApiParameter("download", bool, description="as an attachment")],
        responses=PNG,
    )
    def get(self, request: Request, job_id: str, index: int) -> HttpResponseBase:
        """A picture, with its recipe in the PNG's text."""
        output = access.get_output(job_id, index)
        name = f"{job_id}-{index:02d}-seed{output.seed}{output.suffix}" if "download" in request.query_params else ""
        return files.respond(request._request, output.file, output.content_type, download=name)

    @extend_schema(
        operation_id="generation_output_delete",
        tags=["generation"],
        parameters=[OpenApiParameter("for_good", bool, description="at once and with its file: 204, no way back")],
        responses={200: DeletedOut, 204: None, 404: ErrorSerializer},
    )
    def delete(self, request: Request, job_id: str, index: int) -> Response:
        """Into the bin for a minute, as on the pages; `POST /api/outputs/undo` brings it back."""
        output = access.get_output(job_id, index)
        if request.query_params.get("for_good", "").lower() in ("1", "true"):
            binning.erase_outputs([output])
            return Response(status=204)
        return Response(asdict(binning.bin_outputs(Output.objects.filter(pk=output.pk))))


class KeepOutputView(APIView):
    @extend_schema(
        operation_id="generation_output_keep",
        tags=["generation"],
        request=KeepSerializer,
        responses={201: KeptSerializer, 200: KeptSerializer, **REFUSED},
    )
    def post(self, request: Request, job_id: str, index: int) -> Response:
        """Copies a picture to its character's photos, as synthetic; 200 where it is there already."""
        given = cleaned(KeepSerializer(data=request.data))
        wanted = given.get("character_id")
        output = access.get_output(job_id, index)
        kept = keeping.keep_as_photo(output=output, character=get_character(wanted) if wanted else None)
        return Response(KeptSerializer(kept).data, status=201 if kept.added else 200)


class OutputThumbnailView(APIView):
    @extend_schema(
        operation_id="generation_output_thumbnail",
        tags=["generation"],
        responses={(200, "image/webp"): OpenApiResponse(OpenApiTypes.BINARY), 404: ErrorSerializer},
    )
    def get(self, request: Request, job_id: str, index: int) -> HttpResponseBase:
        """The picture 512 px large, for tiles; as it is where it has about that size."""
        output = access.get_output(job_id, index)
        with suppress(FileNotFoundError):
            thumbs.made(output)
        return files.respond(request._request, output.thumb, "image/webp" if output.has_thumb else output.content_type)


class PreviewView(APIView):
    """What the picture seems to become while it denoises; overwritten all the time and gone at the end. Whoever still
    asks is sent to the picture, and told 204 where none was made: a page's last question is no error."""

    schema = None

    def get(self, request: Request, job_id: str, name: str) -> HttpResponseBase:
        generation = access.get_generation(job_id)
        if not (told := PREVIEW_NAME.fullmatch(name)):
            raise NotFound("not_found", "There is no such preview.")
        key = f"{storage.output_key(generation.job.public_id)}/{name}"
        with suppress(NotFound):
            return files.respond(request._request, key, "image/jpeg", cache="no-cache")
        finished = generation.outputs.filter(index=int(told[1])).first()
        return HttpResponseRedirect(finished.thumb_url) if finished else HttpResponse(status=204)
