"""Writes what was measured, what is said about it, and the verdict: the only writer of `ReferenceImage.verdict`.

Owns its transactions; knows no request and no job."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from characters.doctor import judging
from characters.doctor.thresholds import VERSION
from characters.models import Character, Examination, ReferenceImage
from isengard.engine import catalog
from isengard.engine.errors import EngineError
from isengard.errors import Invalid, NotFound

MEASURED = ["sharpness", "brightness", "contrast", "phash", "faces", "framing", "findings", "version", "checked_at"]


def record(*, character: int, answers: list[dict[str, Any]]) -> None:
    """Writes what the engine says of photos (by primary key), with findings and verdicts. Photos gone meanwhile are
    left out; what a person waved through stays so."""
    size = native_size(character)
    with transaction.atomic():
        keys = [answer["index"] for answer in answers]
        rows = ReferenceImage.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
        here = set(rows.values_list("pk", flat=True))
        met = [answer for answer in answers if answer["index"] in here]
        Examination.objects.bulk_create(
            [_examination(answer, size) for answer in met],
            update_conflicts=True, unique_fields=["image"], update_fields=MEASURED,
        )  # fmt: skip
        gone = [answer["index"] for answer in met if answer.get("code") == "missing"]
        ReferenceImage.objects.filter(pk__in=gone, missing_at=None).update(missing_at=timezone.now())
        back = here.difference(gone)
        ReferenceImage.objects.filter(pk__in=back).exclude(missing_at=None).update(missing_at=None)
        judge(here)


def _examination(answer: dict[str, Any], size: int) -> Examination:
    found = [one.to_dict() for one in judging.findings(answer, size)]
    return Examination(
        image_id=answer["index"],
        version=VERSION,
        checked_at=timezone.now(),
        sharpness=answer.get("sharpness"),
        brightness=answer.get("brightness"),
        contrast=answer.get("contrast"),
        phash=answer.get("phash"),
        faces=answer.get("faces", []),
        framing=judging.framing(answer),
        findings=found,
    )


def judge(keys: Iterable[int]) -> None:
    """Verdicts of these photos, from their findings."""
    by_verdict: dict[str, list[int]] = defaultdict(list)
    for row in Examination.objects.filter(image__in=list(keys)):
        by_verdict[judging.verdict(row.findings, row.ignored)].append(row.image_id)
    for value, images in by_verdict.items():
        ReferenceImage.everything.filter(pk__in=images).exclude(verdict=value).update(verdict=value)


def wave_through(*, image: ReferenceImage, code: str, ignored: bool = True) -> None:
    """Keeps a photo in spite of one finding, or takes that back. Invalid: it has no such finding, or a final one."""
    with transaction.atomic():
        row = Examination.objects.select_for_update().filter(image=image).first()
        if row is None or code not in {one["code"] for one in row.findings}:
            raise NotFound("no_such_finding", "The doctor no longer says that of this photo. Reload the page.")
        if code in judging.FINAL:
            raise Invalid("final_finding", "There is nothing to train on in this file. Remove it or upload it again.")
        row.ignored = sorted({*row.ignored, code} if ignored else set(row.ignored) - {code})
        row.save(update_fields=["ignored"])
        judge([image.pk])
    image.refresh_from_db(fields=["verdict"])


def native_size(character: int) -> int:
    """Pixels a side of the base last trained on; before any training, of the largest one on this machine."""
    runs = Character.objects.filter(pk=character).order_by("-training_runs__id")
    key = runs.values_list("training_runs__base", flat=True).first()
    if key in catalog.BASES:
        return catalog.get(key).native_size
    return max(base.native_size for base in catalog.BASES.values() if base.trainable and _is_here(base.key))


def _is_here(key: str) -> bool:
    try:
        catalog.locate(key, settings.MODELS_DIR)
    except EngineError:
        return key == "pocket"
    return True
