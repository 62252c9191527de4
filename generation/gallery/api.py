"""The JSON API of the gallery: pictures of all requests, marks, boards, archives, storage, training pictures. A thin
skin over query and services."""

from dataclasses import asdict

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from characters.access import get_character
from characters.transfer.sending import send
from generation.gallery import archive, binning, cleaning, query, services, staging
from generation.gallery import serializers as shapes
from generation.gallery.selection import chosen
from generation.serializers import GenerationJobSerializer
from isengard.logs import correlation
from isengard.parsers import cleaned
from isengard.throttles import FairUse

TAGS = ["gallery"]
STAGED = ["synthetic"]


class PicturesView(APIView):
    @extend_schema(
        operation_id="outputs_list", parameters=[shapes.PicturePageIn], responses=shapes.PicturePageOut, tags=TAGS
    )
    def get(self, request: Request) -> Response:
        """A page of the pictures that the filter finds; the last page costs what the first does."""
        given = cleaned(shapes.PicturePageIn(data=request.query_params))
        page = query.page(query.Filter.of(given), given.get("cursor", ""), given["limit"])
        found = shapes.PictureOut(page.outputs, many=True).data
        return Response({"outputs": found, "next": page.next, "previous": page.previous})


class MarkView(APIView):
    @extend_schema(request=shapes.MarkIn, responses=shapes.ChangedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Favourites and ratings of one picture or many."""
        given = cleaned(shapes.MarkIn(data=request.data))
        found = chosen(given)
        count = found.count()
        if "to_favourite" in given:
            services.set_favourite(found, given["to_favourite"])
        if "to_rating" in given:
            services.set_rating(found, given["to_rating"])
        return Response({"count": count})


class DeleteView(APIView):
    @extend_schema(request=shapes.ChoiceIn, responses=shapes.DeletedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Into the bin for a minute, then erased with the files."""
        given = cleaned(shapes.ChoiceIn(data=request.data))
        return Response(asdict(binning.bin_outputs(chosen(given))))


class UndoView(APIView):
    @extend_schema(request=shapes.PictureUndoIn, responses=shapes.ChangedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Brings back what one deletion took."""
        undo = cleaned(shapes.PictureUndoIn(data=request.data))["undo"]
        return Response({"count": binning.restore_outputs(undo)})


class ZipView(APIView):
    @extend_schema(
        request=shapes.ZipIn, responses={(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY)}, tags=TAGS
    )
    def post(self, request: Request) -> StreamingHttpResponse:
        """The pictures as one archive, sent while it is packed."""
        given = cleaned(shapes.ZipIn(data=request.data))
        return send(request._request, archive.chunks(chosen(given), recipes=given["recipes"]), "pictures.zip")


class BoardsView(APIView):
    @extend_schema(operation_id="boards_list", responses=shapes.BoardOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        return Response(shapes.BoardOut(services.boards(), many=True).data)

    @extend_schema(operation_id="boards_create", request=shapes.BoardIn, responses={201: shapes.BoardOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        made = services.make_board(cleaned(shapes.BoardIn(data=request.data))["name"])
        return Response(shapes.BoardOut(services.boards().get(pk=made.pk)).data, status=201)


class BoardView(APIView):
    @extend_schema(request=shapes.BoardIn, responses=shapes.BoardOut, tags=TAGS)
    def patch(self, request: Request, board_id: int) -> Response:
        """Another name."""
        board = services.get_board(board_id)
        services.rename_board(board, cleaned(shapes.BoardIn(data=request.data))["name"])
        return Response(shapes.BoardOut(services.boards().get(pk=board.pk)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, board_id: int) -> Response:
        """The board goes, its pictures stay."""
        services.delete_board(services.get_board(board_id))
        return Response(status=204)


class BoardAddView(APIView):
    @extend_schema(request=shapes.ChoiceIn, responses=shapes.ChangedOut, tags=TAGS)
    def post(self, request: Request, board_id: int) -> Response:
        given = cleaned(shapes.ChoiceIn(data=request.data))
        return Response({"count": services.add_to_board(services.get_board(board_id), chosen(given))})


class BoardRemoveView(APIView):
    @extend_schema(request=shapes.ChoiceIn, responses=shapes.ChangedOut, tags=TAGS)
    def post(self, request: Request, board_id: int) -> Response:
        given = cleaned(shapes.ChoiceIn(data=request.data))
        return Response({"count": services.take_off_board(services.get_board(board_id), chosen(given))})


class StorageView(APIView):
    @extend_schema(responses=shapes.StorageOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """What pictures take on the disk, in bytes, by character."""
        return Response(shapes.StorageOut(cleaning.use()).data)


class RuleView(APIView):
    @extend_schema(responses=shapes.RuleShape, tags=TAGS)
    def get(self, request: Request) -> Response:
        """By which rule old pictures go."""
        return Response(shapes.RuleShape(cleaning.rule()).data)

    @extend_schema(request=shapes.RuleShape, responses=shapes.RuleShape, tags=TAGS)
    def put(self, request: Request) -> Response:
        """Favourites, pictures on a board and those kept as photos stay whatever the rule says."""
        given = cleaned(shapes.RuleShape(data=request.data))
        return Response(shapes.RuleShape(cleaning.set_rule(**given)).data)


class SyntheticView(APIView):
    throttle_scope = "generate"

    def get_throttles(self) -> list[BaseThrottle]:
        return [FairUse()] if self.request.method == "POST" else []

    @extend_schema(operation_id="synthetic_list", responses=shapes.PictureOut(many=True), tags=STAGED)
    def get(self, request: Request, character_id: str) -> Response:
        """Training pictures that wait for a verdict, newest first."""
        waiting = staging.waiting(get_character(character_id)).select_related(*query.RELATED)
        return Response(shapes.PictureOut(waiting, many=True).data)

    @extend_schema(
        operation_id="synthetic_start",
        request=shapes.SyntheticIn,
        responses={201: GenerationJobSerializer},
        tags=STAGED,
    )
    def post(self, request: Request, character_id: str) -> Response:
        """Asks for 1 to 8 training pictures, drawn with the character's active LoRA."""
        given = cleaned(shapes.SyntheticIn(data=request.data))
        character = get_character(character_id)
        made = staging.start(character=character, correlation_id=correlation.current(), **given)
        return Response(GenerationJobSerializer(made).data, status=201)


class SyntheticKeepView(APIView):
    @extend_schema(request=shapes.ChoiceIn, responses=shapes.KeptOut, tags=STAGED)
    def post(self, request: Request, character_id: str) -> Response:
        """Copies waiting pictures to the character's photos, as synthetic."""
        waiting = staging.waiting(get_character(character_id))
        given = cleaned(shapes.ChoiceIn(data=request.data))
        return Response(asdict(staging.keep(waiting.filter(pk__in=chosen(given).values("pk")))))


class SyntheticDiscardView(APIView):
    @extend_schema(request=shapes.ChoiceIn, responses=shapes.DeletedOut, tags=STAGED)
    def post(self, request: Request, character_id: str) -> Response:
        """Throws waiting pictures away; the answer can undo it for a minute."""
        waiting = staging.waiting(get_character(character_id))
        given = cleaned(shapes.ChoiceIn(data=request.data))
        return Response(asdict(staging.discard(waiting.filter(pk__in=chosen(given).values("pk")))))
