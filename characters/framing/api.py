"""The JSON API of crops and masks: a thin skin over their services."""

from dataclasses import asdict

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from characters.access import get_photo
from characters.browse.selection import chosen
from characters.browse.serializers import SelectionIn
from characters.framing import crops, masks, seen
from characters.framing import serializers as shapes
from characters.models import ReferenceImage
from isengard import files
from isengard.parsers import cleaned
from isengard.throttles import FairUse

TAGS = ["dataset"]
ASK_AGAIN = "private, no-cache"


class CropsView(APIView):
    @extend_schema(responses=shapes.CropsOut, tags=TAGS)
    def get(self, request: Request, image_id: str) -> Response:
        """The photo's crops, and where the studio would put each kind."""
        image = get_photo(image_id)
        suggested = [{"kind": kind, **_named(crops.suggestion(image, kind))} for kind in crops.KINDS]
        told = {"crops": image.crops.order_by("id"), "suggestions": suggested, "faces": len(crops.faces(image))}
        return Response(shapes.CropsOut(told).data)


def _named(box: tuple[float, float, float, float]) -> dict[str, float]:
    return dict(zip(("x", "y", "width", "height"), box, strict=True))


class CropView(APIView):
    @extend_schema(request=shapes.CropIn, responses=shapes.CropOut, tags=TAGS)
    def put(self, request: Request, image_id: str, kind: str) -> Response:
        """Sets the crop of one kind: `main`, `face` or `half`."""
        given = cleaned(shapes.CropIn(data=request.data))
        box = (given["x"], given["y"], given["width"], given["height"])
        crop = crops.save(image=get_photo(image_id), kind=kind, box=box, enabled=given["enabled"])
        return Response(shapes.CropOut(crop).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, image_id: str, kind: str) -> Response:
        """Back to the whole photo, or to no further sample."""
        crops.remove(image=get_photo(image_id), kind=kind)
        return Response(status=204)


class SuggestView(APIView):
    @extend_schema(request=shapes.CropsIn, responses=shapes.SuggestedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Crops for a selection around the faces that are known; photos without one are left alone."""
        given = cleaned(shapes.CropsIn(data=request.data))
        made = crops.suggest(images=chosen(given), kinds=given["kinds"], replace=given["replace"])
        return Response(asdict(made))


class LookView(APIView):
    @extend_schema(
        parameters=[
            OpenApiParameter("base", str, description="base model; the default one without it"),
            OpenApiParameter("resolution", int, required=True, description="a resolution of that base, in pixels"),
            OpenApiParameter("kind", str, description="main (without it), face or half"),
        ],
        responses={(200, "image/png"): OpenApiTypes.BINARY},
        tags=TAGS,
    )
    def get(self, request: Request, image_id: str) -> HttpResponse:
        """The very pixels that a training would read of this photo, as PNG."""
        asked = request.query_params
        resolution = asked.get("resolution", "")
        side = int(resolution[:6]) if resolution.isdecimal() else 0
        base = seen.base_of(asked.get("base", ""))
        picture = seen.pixels(get_photo(image_id), asked.get("kind", "main"), base, side)
        return HttpResponse(picture, content_type="image/png", headers={"Cache-Control": ASK_AGAIN})


class MaskView(APIView):
    throttle_scope = "upload"

    def get_throttles(self) -> list[BaseThrottle]:
        return [FairUse()] if self.request.method == "PUT" else []

    @extend_schema(responses={(200, "image/png"): OpenApiTypes.BINARY}, tags=TAGS)
    def get(self, request: Request, image_id: str) -> HttpResponseBase:
        """The mask as an 8-bit grey PNG of the photo's size: white is the person."""
        key = masks.file_of(get_photo(image_id))
        return files.respond(request._request, key, "image/png", cache=ASK_AGAIN)

    @extend_schema(request={"multipart/form-data": shapes.MaskIn}, responses=shapes.MaskOut, tags=TAGS)
    def put(self, request: Request, image_id: str) -> Response:
        """A mask of your own. 400 `mask_size`: it is not as large as the photo."""
        given = cleaned(shapes.MaskIn(data=request.data))
        image = masks.save(image=get_photo(image_id), file=given["file"])
        return Response({"mask": reverse("api-image-mask", args=[image_id]), "by": image.mask_by})

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, image_id: str) -> Response:
        masks.remove(images=ReferenceImage.objects.filter(pk=get_photo(image_id).pk))
        return Response(status=204)


class MaskBackView(APIView):
    @extend_schema(request=None, responses=shapes.MaskOut, tags=TAGS)
    def post(self, request: Request, image_id: str) -> Response:
        """The mask that a person drew before this one, within an hour; once more, and the two change places again."""
        image = masks.back(image=get_photo(image_id))
        return Response({"mask": reverse("api-image-mask", args=[image_id]), "by": image.mask_by})


class MasksView(APIView):
    @extend_schema(request=shapes.MasksIn, responses={202: shapes.MasksOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Jobs that mask the person, or the face alone, on a selection."""
        given = cleaned(shapes.MasksIn(data=request.data))
        jobs = masks.request(images=chosen(given), shape=given["shape"], replace=given["replace"])
        return Response({"jobs": [job.public_id for job in jobs]}, status=202)


class MasksRemoveView(APIView):
    @extend_schema(request=SelectionIn, responses=shapes.RemovedOut, tags=TAGS)
    def post(self, request: Request) -> Response:
        given = cleaned(SelectionIn(data=request.data))
        return Response({"count": masks.remove(images=chosen(given)).count})
