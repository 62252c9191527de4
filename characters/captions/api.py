"""The JSON API of captions: a thin skin over services."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters import access
from characters.browse.selection import chosen
from characters.captions import bulk, lint, services, tokens, trigger, writing
from characters.captions.access import get_task, get_version
from characters.captions.serializers import (
    CaptionEditIn,
    CaptionEditOut,
    CaptionerOut,
    CaptionFindingOut,
    CaptionIn,
    CaptionOut,
    CaptionRowOut,
    CaptionUndoIn,
    CaptionUndoOut,
    RestoreIn,
    TriggerIn,
    TriggerOut,
    WriteIn,
    WriteOut,
)
from isengard.engine import catalog
from isengard.engine.errors import EngineError
from isengard.errors import Invalid
from isengard.parsers import cleaned


class CaptionView(APIView):
    @extend_schema(responses=CaptionOut, tags=["captions"])
    def get(self, request: Request, image_id: str) -> Response:
        """The caption, what training reads of it, and its earlier texts, newest first."""
        return Response(CaptionOut(access.get_photo(image_id)).data)

    @extend_schema(request=CaptionIn, responses=CaptionOut, tags=["captions"])
    def put(self, request: Request, image_id: str) -> Response:
        image = access.get_photo(image_id)
        services.write(image=image, text=cleaned(CaptionIn(data=request.data))["caption"], by="user")
        return Response(CaptionOut(image).data)


class RestoreView(APIView):
    @extend_schema(request=RestoreIn, responses=CaptionOut, tags=["captions"])
    def post(self, request: Request, image_id: str) -> Response:
        """Makes one of the earlier texts the caption again."""
        number = cleaned(RestoreIn(data=request.data))["version"]
        services.restore(version=get_version(image_id, number))
        return Response(CaptionOut(access.get_photo(image_id)).data)


class EditView(APIView):
    @extend_schema(request=CaptionEditIn, responses=CaptionEditOut, tags=["captions"])
    def post(self, request: Request) -> Response:
        """Find and replace, prefix, suffix, trigger, template or strip over many captions; all of them or none."""
        given = cleaned(CaptionEditIn(data=request.data))
        # The selection reads the filter too, whose names are the image list's and not repeated here.
        images, wanted = chosen(request.data if isinstance(request.data, dict) else {}), bulk.edit(given["op"], given)
        if given["preview"]:
            seen = bulk.preview(images, wanted)
            rows = CaptionRowOut(seen.rows, many=True).data
            return Response({"changed": seen.changed, "total": seen.total, "problem": seen.problem, "rows": rows})
        done = bulk.apply(images, wanted)
        return Response({"changed": done.count, "undo": done.undo})


class UndoView(APIView):
    @extend_schema(request=CaptionUndoIn, responses=CaptionUndoOut, tags=["captions"])
    def post(self, request: Request) -> Response:
        """Takes one edit back; captions written since then stay."""
        return Response({"restored": services.undo(token=cleaned(CaptionUndoIn(data=request.data))["undo"])})


class LintView(APIView):
    @extend_schema(responses=CaptionFindingOut(many=True), tags=["captions"])
    def get(self, request: Request, character_id: str) -> Response:
        """What the captions of a character should leave to the trigger word, most frequent first."""
        character = access.get_character(character_id)
        found = lint.lint(character.images.values_list("caption", flat=True), character.trigger_word)
        return Response([{**asdict(one), "why": one.why} for one in found])


class CaptionersView(APIView):
    @extend_schema(responses=CaptionerOut(many=True), tags=["captions"])
    def get(self, request: Request) -> Response:
        """The models that can describe photos, here or not."""
        return Response(CaptionerOut(writing.offered(), many=True).data)


class WriteView(APIView):
    @extend_schema(request=WriteIn, responses={201: WriteOut}, tags=["captions"])
    def post(self, request: Request, character_id: str) -> Response:
        """A job in which a model writes captions, or tries on three photos. What a person wrote stays, unless asked."""
        given, character = cleaned(WriteIn(data=request.data)), access.get_character(character_id)
        common: dict[str, Any] = {"detail": given["detail"], "strip": given["strip_traits"]}
        if given["preview"]:
            task = writing.start_try(character=character, models=given["models"], **common)
        elif len(given["models"]) == 1:
            task = writing.start_all(character=character, model=given["models"][0], mode=given["mode"], **common)
        else:
            raise Invalid("one_model", "Name exactly one model to write captions with; preview takes several.")
        return Response(WriteOut(task).data, status=201)


class WritingView(APIView):
    @extend_schema(responses=WriteOut, tags=["captions"])
    def get(self, request: Request, job_id: str) -> Response:
        return Response(WriteOut(get_task(job_id)).data)


class TriggerView(APIView):
    @extend_schema(parameters=[TriggerIn], responses=TriggerOut, tags=["captions"])
    def get(self, request: Request) -> Response:
        """What speaks against a word as a trigger, and free ones."""
        given = cleaned(TriggerIn(data=request.query_params))
        base = given.get("base") or tokens.default_base()
        mine = access.get_character(given["character"]) if given.get("character") else None
        try:
            catalog.get(base)
        except EngineError as error:
            raise Invalid(error.code, error.message) from error
        verdict = trigger.examine(given["word"], base, but=mine)
        found = {**asdict(verdict), "good": verdict.good, "suggestions": trigger.suggestions(given["name"], base)}
        return Response(TriggerOut(found).data)
