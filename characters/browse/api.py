"""The JSON API of the dataset: photos of all characters, bulk changes, tags. A thin skin over query and services."""

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters import access
from characters.browse import query, services, tags, totals
from characters.browse import serializers as shapes
from characters.browse.selection import chosen
from characters.captions.services import write
from characters.models import ReferenceImage
from isengard.parsers import cleaned

TAGS = ["dataset"]


class DatasetView(APIView):
    @extend_schema(operation_id="images_list", parameters=[shapes.PageIn], responses=shapes.PageOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """A page of the photos that the filter finds; the last page costs what the first does."""
        given = cleaned(shapes.PageIn(data=request.query_params))
        page = query.page(query.Filter.of(given), given.get("cursor", ""), given["limit"])
        images = shapes.ImageOut(page.images, many=True).data
        return Response({"images": images, "next": page.next, "previous": page.previous})


class TotalsView(APIView):
    @extend_schema(parameters=[shapes.TotalsIn], responses=shapes.TotalsOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """How many photos there are of each split and verdict, of all characters or of one."""
        wanted = cleaned(shapes.TotalsIn(data=request.query_params)).get("character")
        found = totals.totals(access.get_character(wanted) if wanted else None)
        return Response({"all": found.all, "splits": found.splits, "verdicts": found.verdicts})


class PhotoView(APIView):
    @extend_schema(responses=shapes.PhotoOut, tags=TAGS)
    def get(self, request: Request, image_id: str) -> Response:
        return Response(shapes.PhotoOut(access.get_photo(image_id)).data)

    @extend_schema(request=shapes.ImageChange, responses=shapes.PhotoOut, tags=TAGS)
    def patch(self, request: Request, image_id: str) -> Response:
        given, image = cleaned(shapes.ImageChange(data=request.data)), access.get_photo(image_id)
        if "split" in given:
            services.set_split(ReferenceImage.objects.filter(pk=image.pk), given["split"])
        if "tags" in given:
            services.set_tags(image, given["tags"])
        if "caption" in given:
            write(image=image, text=given["caption"], by="user")
        return Response(shapes.PhotoOut(access.get_photo(image_id)).data)

    # Said with its status: else a DELETE is described as one without a body.
    @extend_schema(responses={200: shapes.BinnedOut}, tags=TAGS)
    def delete(self, request: Request, image_id: str) -> Response:
        """Into the bin, like the deletion of many; the answer can undo it."""
        one = ReferenceImage.objects.filter(pk=access.get_photo(image_id).pk)
        return Response(asdict(services.bin_images(one)))


class DeleteView(APIView):
    @extend_schema(request=shapes.SelectionIn, responses=shapes.BinnedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Into the bin for a minute, then erased with the files."""
        given = cleaned(shapes.SelectionIn(data=request.data))
        return Response(asdict(services.bin_images(chosen(given))))


class UndoView(APIView):
    @extend_schema(request=shapes.UndoIn, responses=shapes.RestoredOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Brings back what one deletion took."""
        return Response(asdict(services.restore_images(cleaned(shapes.UndoIn(data=request.data))["undo"])))


class SplitView(APIView):
    @extend_schema(request=shapes.SplitIn, responses=shapes.CountOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Says what photos are for: trained on, only looked at, or made by the studio."""
        given = cleaned(shapes.SplitIn(data=request.data))
        return Response({"count": services.set_split(chosen(given), given["to_split"])})


class TagView(APIView):
    @extend_schema(request=shapes.TagsIn, responses=shapes.CountOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        given = cleaned(shapes.TagsIn(data=request.data))
        return Response({"count": services.tag_images(chosen(given), given["tags"])})


class UntagView(APIView):
    @extend_schema(request=shapes.TagsIn, responses=shapes.CountOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        given = cleaned(shapes.TagsIn(data=request.data))
        return Response({"count": services.untag_images(chosen(given), given["tags"])})


class MoveView(APIView):
    @extend_schema(request=shapes.MoveIn, responses=shapes.MovedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Gives photos with their files, captions and tags to another character."""
        given = cleaned(shapes.MoveIn(data=request.data))
        to = access.get_character(given["to_character"])
        return Response(asdict(services.move_images(chosen(given), to)))


class TagsView(APIView):
    @extend_schema(parameters=[shapes.TagsQuery], responses=shapes.TagOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Tags with how many photos wear them, most used first."""
        given = cleaned(shapes.TagsQuery(data=request.query_params))
        mine = access.get_character(given["character"]) if given.get("character") else None
        found = tags.frequencies(mine, given.get("begins", ""), given["limit"])
        return Response(shapes.TagOut(found, many=True).data)

    @extend_schema(request=shapes.MergeIn, responses=shapes.TagNameOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Makes several tags one: photos with any of `tags` wear `into` instead, which may be new."""
        given = cleaned(shapes.MergeIn(data=request.data))
        former = [tags.get_tag(name) for name in given["tags"]]
        return Response({"name": services.merge_tags(former, tags.made(given["into"])).name})


class OneTagView(APIView):
    @extend_schema(request=shapes.TagChange, responses=shapes.TagNameOut, tags=TAGS)
    def patch(self, request: Request, name: str) -> Response:
        """Renames it everywhere; onto a name in use, the two become one."""
        wanted = cleaned(shapes.TagChange(data=request.data))["name"]
        return Response({"name": services.rename_tag(tags.get_tag(name), wanted).name})

    @extend_schema(responses={200: shapes.CountOut}, tags=TAGS)
    def delete(self, request: Request, name: str) -> Response:
        """Takes it off every photo."""
        return Response({"count": services.delete_tag(tags.get_tag(name))})
