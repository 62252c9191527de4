"""The JSON API of characters and their photos: a thin skin over services, with the paths of the original."""

import logging
from typing import Any

from django.db.models import Q
from django.http import HttpResponseBase, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters import services, thumbnails
from characters.access import get_character, get_image
from characters.models import Character, CharacterQuerySet, ReferenceImage
from characters.serializers import (
    CharacterChange,
    CharacterIn,
    CharacterOut,
    ImagesIn,
    ImagesOut,
    ListQuery,
    UploadOut,
)
from isengard import files
from isengard.errors import DomainError
from isengard.parsers import cleaned
from isengard.throttles import FairUse

log = logging.getLogger(__name__)
# Without `v` the same address may mean another photo tomorrow: ask again, cheaply.
ASK_AGAIN = "private, no-cache"


class CharactersView(APIView):
    @extend_schema(parameters=[ListQuery], responses=CharacterOut(many=True), tags=["characters"])
    def get(self, request: Request) -> Response:
        """Newest first. All of them; with `limit` a page, whose next one starts `after` its last id."""
        query = cleaned(ListQuery(data=request.query_params))
        found = Character.objects.with_image_count().prefetch_related("loras").newest_first()
        found = _older_than(found, query.get("after"))[: query.get("limit")]
        return Response(CharacterOut(found, many=True).data)

    @extend_schema(request=CharacterIn, responses={201: CharacterOut}, tags=["characters"])
    def post(self, request: Request) -> Response:
        given = cleaned(CharacterIn(data=request.data))
        character = services.create_character(
            name=given["name"], trigger_word=given["trigger_word"], description=given.get("description") or ""
        )
        return Response(CharacterOut(get_character(character.public_id)).data, status=201)


def _older_than(found: CharacterQuerySet, character_id: str | None) -> CharacterQuerySet:
    if character_id is None:
        return found
    last = get_character(character_id)
    return found.filter(Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, id__lt=last.pk))


class CharacterView(APIView):
    @extend_schema(responses=CharacterOut, tags=["characters"])
    def get(self, request: Request, character_id: str) -> Response:
        return Response(CharacterOut(get_character(character_id)).data)

    @extend_schema(request=CharacterChange, responses=CharacterOut, tags=["characters"])
    def patch(self, request: Request, character_id: str) -> Response:
        character = get_character(character_id)
        services.update_character(character=character, **cleaned(CharacterChange(data=request.data)))
        return Response(CharacterOut(character).data)

    @extend_schema(responses={204: None}, tags=["characters"])
    def delete(self, request: Request, character_id: str) -> Response:
        """With everything derived from it. A client names what it deletes in the address; people type the name."""
        character = get_character(character_id)
        services.delete_character(character=character, typed_name=character.name)
        return Response(status=204)


class ImagesView(APIView):
    throttle_scope = "upload"

    def get_throttles(self) -> list[Any]:
        return [FairUse()] if self.request.method == "POST" else []

    @extend_schema(operation_id="characters_images_list", responses=ImagesOut, tags=["characters"])
    def get(self, request: Request, character_id: str) -> Response:
        names = list(get_character(character_id).images.newest_first().values_list("name", flat=True))
        return Response({"images": names, "count": len(names)})

    @extend_schema(request={"multipart/form-data": ImagesIn}, responses={201: UploadOut}, tags=["characters"])
    def post(self, request: Request, character_id: str) -> Response:
        """Photos in the repeated field `files`: each is stored, refused with its reason, or skipped as a duplicate."""
        character = get_character(character_id)
        given = cleaned(ImagesIn(data=_files(request)))
        outcome: dict[str, Any] = {"uploaded": [], "rejected": [], "skipped": []}
        for file in given["files"]:
            _take(character, file, outcome)
        return Response({**outcome, "total_images": character.images.count()}, status=201)


def _files(request: Request) -> dict[str, Any]:
    """All values of the repeated field; nothing when it is missing, so that the serializer says so."""
    form = request.data
    return {"files": form.getlist("files")} if isinstance(form, QueryDict) and "files" in form else {}


def _take(character: Character, file: Any, outcome: dict[str, Any]) -> None:
    name = file.name or "photo"
    try:
        upload = services.add_image(character=character, file=file, name=name)
    except DomainError as error:
        log.info("photo refused", extra={"event": f"upload.rejected.{error.code}"})
        outcome["rejected"].append({"filename": name, "reason": error.message, "code": error.code})
        return
    if upload.added:
        outcome["uploaded"].append(upload.image.name)
    else:
        reason = f"This photo is already here as {upload.image.name}."
        outcome["skipped"].append({"filename": name, "reason": reason, "code": "duplicate"})


class ImageView(APIView):
    @extend_schema(responses={200: OpenApiTypes.BINARY}, tags=["characters"])
    def get(self, request: Request, character_id: str, name: str) -> HttpResponseBase:
        """The photo, or with `?size=256|512` its thumbnail (the photo itself while there is none yet)."""
        image = get_image(character_id, name)
        key, content_type, final = _file(image, request.query_params.get("size", ""))
        cache = files.IMMUTABLE if final and request.query_params.get("v") == image.public_id else ASK_AGAIN
        return files.respond(request._request, key, content_type, cache=cache)

    @extend_schema(responses={204: None}, tags=["characters"])
    def delete(self, request: Request, character_id: str, name: str) -> Response:
        services.delete_image(image=get_image(character_id, name))
        return Response(status=204)


def _file(image: ReferenceImage, size: str) -> tuple[str, str, bool]:
    """Storage key, content type, and whether that is what will be served here for ever."""
    if size not in map(str, thumbnails.SIZES):
        return image.file, image.content_type, True
    if image.thumb_ready:
        return thumbnails.key(image, int(size)), "image/webp", True
    return image.file, image.content_type, False
