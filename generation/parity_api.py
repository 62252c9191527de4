"""The JSON API of drawing a training's sample again."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from generation import parity
from generation.serializers import GenerationJobSerializer
from isengard.logs import correlation
from isengard.parsers import cleaned
from isengard.throttles import FairUse
from training import repeating
from training.serializers import ErrorSerializer


class SampleSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField(max_length=40, help_text="the training's")
    step = serializers.IntegerField(min_value=0)
    prompt_index = serializers.IntegerField(min_value=0, default=0)


class RepeatSampleView(APIView):
    throttle_scope = "generate"

    def get_throttles(self) -> list[BaseThrottle]:
        return [FairUse()]

    @extend_schema(
        operation_id="generation_from_sample",
        tags=["generation"],
        request=SampleSerializer,
        responses={201: GenerationJobSerializer, 400: ErrorSerializer, 404: ErrorSerializer, 503: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Draws a training's sample again: same weights, words, seed and look, so the same bits on the same device.

        400 `sample_not_kept`: no checkpoint of that step is left."""
        wanted = cleaned(SampleSerializer(data=request.data))
        sample = repeating.get_sample(wanted["job_id"], wanted["step"], wanted["prompt_index"])
        generation = parity.repeat(sample=sample, correlation_id=correlation.current())
        return Response(GenerationJobSerializer(generation).data, status=201)
