"""The JSON API of the doctor: a thin skin over its services."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from characters.access import get_character, get_photo
from characters.browse.selection import chosen
from characters.browse.serializers import SelectionIn
from characters.doctor import serializers as shapes
from characters.doctor import services, shown, writing
from characters.models import Examination
from isengard.parsers import cleaned

TAGS = ["dataset"]


class ExaminationView(APIView):
    @extend_schema(responses=shapes.ExaminationOut, tags=TAGS)
    def get(self, request: Request, image_id: str) -> Response:
        """What the doctor measured on a photo and thinks of it. Nothing while its verdict is `unchecked`."""
        image = get_photo(image_id)
        found = Examination.objects.select_related("image").filter(image=image).first()
        return Response(shapes.ExaminationOut(found or Examination(image=image)).data)

    @extend_schema(request=shapes.IgnoreIn, responses=shapes.ExaminationOut, tags=TAGS)
    def patch(self, request: Request, image_id: str) -> Response:
        """Waves one finding through, so that it no longer counts for the verdict, or minds it again."""
        given = cleaned(shapes.IgnoreIn(data=request.data))
        writing.wave_through(image=get_photo(image_id), code=given["code"], ignored=given["ignored"])
        return self.get(request, image_id)


class ExamineImagesView(APIView):
    @extend_schema(request=SelectionIn, responses={202: shapes.ExaminingOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Jobs that look at a selection again."""
        jobs = services.request(images=chosen(cleaned(SelectionIn(data=request.data))))
        return Response({"jobs": [job.public_id for job in jobs]}, status=202)


class ExamineView(APIView):
    @extend_schema(responses=shapes.ReportOut, tags=TAGS)
    def get(self, request: Request, character_id: str) -> Response:
        """The character's photos as a set: state, advice, near-duplicates."""
        report = shown.report(get_character(character_id))
        told = {
            "state": report.advice.state,
            "summary": report.advice.summary,
            "advice": report.advice.points,
            "verdicts": report.verdicts,
            "duplicates": [
                {"best": best.public_id, "copies": [image.public_id for image in others]}
                for best, others in report.copies
            ],
            "job": report.job.public_id if report.job else None,
        }
        return Response(shapes.ReportOut(told).data)

    @extend_schema(request=None, responses={202: shapes.ExaminingOut}, tags=TAGS)
    def post(self, request: Request, character_id: str) -> Response:
        """A job that looks at every photo again; the one that is under way, if there is one."""
        job = services.check_again(character=get_character(character_id))
        return Response({"jobs": [job.public_id]}, status=202)
