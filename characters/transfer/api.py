"""The JSON API of import and export: a thin skin over services."""

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters.access import get_character
from characters.browse import selection
from characters.models import Character
from characters.transfer import exporting, layouts, sending, services
from characters.transfer.exporting import Images
from characters.transfer.serializers import ExportQuery, ImportIn, ImportNewIn, ImportOut, SelectionExportIn
from isengard.logs import correlation
from isengard.parsers import cleaned
from isengard.throttles import FairUse

ZIP = {(200, "application/zip"): OpenApiTypes.BINARY}


class ImportNewView(APIView):
    throttle_scope = "upload"
    throttle_classes = [FairUse]

    @extend_schema(
        operation_id="characters_import_new",
        request={"multipart/form-data": ImportNewIn},
        responses={202: ImportOut},
        tags=["transfer"],
    )
    def post(self, request: Request) -> Response:
        """A new character from an archive. What is left out is taken from the archive, if it is one of ours."""
        return _start(cleaned(ImportNewIn(data=request.data)), None)


class ImportIntoView(APIView):
    throttle_scope = "upload"
    throttle_classes = [FairUse]

    @extend_schema(request={"multipart/form-data": ImportIn}, responses={202: ImportOut}, tags=["transfer"])
    def post(self, request: Request, character_id: str) -> Response:
        """An archive's photos into a character. Refused as a whole when it is damaged, hostile or has no picture."""
        character = get_character(character_id)
        return _start(cleaned(ImportIn(data=request.data)), character)


def _start(given: dict[str, Any], character: Character | None) -> Response:
    file = given["archive"]
    with services.received(file) as path:
        task = services.start(
            archive=path, name=file.name or "", character=character, new=given, correlation_id=correlation.current()
        )
    return Response(ImportOut(task).data, status=202)


class ImportView(APIView):
    @extend_schema(responses=ImportOut, tags=["transfer"])
    def get(self, request: Request, job_id: str) -> Response:
        """How far an import is, and every entry that was skipped, refused or not fully understood, with its reason."""
        return Response(ImportOut(services.get_import(job_id)).data)


class ExportView(APIView):
    @extend_schema(parameters=[ExportQuery], responses=ZIP, tags=["transfer"])
    def get(self, request: Request, character_id: str) -> HttpResponseBase:
        """All photos of a character as a ZIP, written while it is sent."""
        images = get_character(character_id).images.all()
        return _archive(request, cleaned(ExportQuery(data=request.query_params)), images)


class SelectionExportView(APIView):
    @extend_schema(request=SelectionExportIn, responses=ZIP, tags=["transfer"])
    def post(self, request: Request) -> HttpResponseBase:
        """Chosen photos as a ZIP: `image_ids`, or `all` with the parameters of the list of images."""
        given = cleaned(SelectionExportIn(data=request.data))
        sent: Any = request.data
        return _archive(request, given, selection.chosen(sent))


def _archive(request: Request, given: dict[str, Any], images: Images) -> HttpResponseBase:
    people = exporting.characters_of(images)
    word = given["class_word"] or layouts.class_word_of(people)
    layout = layouts.of(given["layout"], repeats=given["repeats"], class_word=word)
    photos = exporting.chosen(images, layout)
    name = exporting.file_name(people, given["layout"])
    return sending.send(request._request, exporting.chunks(photos, people, layout), name)
