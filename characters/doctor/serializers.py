"""Examinations as the JSON API shows and takes them."""

from typing import Any

from rest_framework import serializers

from characters.doctor import judging
from characters.models import Examination, ReferenceImage

Data = dict[str, Any]


class FaceOut(serializers.Serializer[Any]):
    """Fractions of the stored picture; `drawn`: found in a drawing, so only roughly there."""

    x = serializers.FloatField()
    y = serializers.FloatField()
    width = serializers.FloatField()
    height = serializers.FloatField()
    score = serializers.FloatField(help_text="the detector's own confidence, 0 to 1")
    drawn = serializers.BooleanField()


class FindingOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    level = serializers.ChoiceField([("attention", "attention"), ("blocked", "blocked")])
    text = serializers.CharField(help_text="what it means, for people")
    fix = serializers.ChoiceField(list(judging.FIXES.items()))
    of = serializers.CharField(required=False, help_text="the photo that this one is a copy of")


class ExaminationOut(serializers.ModelSerializer[Examination]):
    """What was measured and what is said about it; all null and empty while nobody looked."""

    image = serializers.CharField(source="image.public_id")
    verdict = serializers.ChoiceField(ReferenceImage.Verdict.choices, source="image.verdict")
    faces = FaceOut(many=True)
    findings = FindingOut(many=True)
    ignored = serializers.ListField(child=serializers.CharField(), help_text="codes that a person waved through")

    class Meta:
        model = Examination
        fields = [
            "image", "verdict", "checked_at", "sharpness", "brightness", "contrast", "faces", "framing", "findings",
            "ignored",
        ]  # fmt: skip


class IgnoreIn(serializers.Serializer[Data]):
    code = serializers.CharField(max_length=40)
    ignored = serializers.BooleanField(default=True, help_text="false: mind it again")


class CopiesOut(serializers.Serializer[Any]):
    best = serializers.CharField(help_text="id of the photo to keep")
    copies = serializers.ListField(child=serializers.CharField())


class ReportOut(serializers.Serializer[Any]):
    state = serializers.ChoiceField([(value, value) for value in ("ready", "attention", "blocked")])
    summary = serializers.CharField()
    advice = serializers.ListField(child=serializers.CharField(), help_text="what to add, best first")
    verdicts = serializers.DictField(child=serializers.IntegerField())
    duplicates = CopiesOut(many=True)
    job = serializers.CharField(allow_null=True, help_text="id of the check that waits or runs")


class ExaminingOut(serializers.Serializer[Any]):
    jobs = serializers.ListField(child=serializers.CharField(), help_text="ids, one job per character")
