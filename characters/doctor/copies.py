"""Near-duplicates of a character as findings: which to keep, which are its copies. Owns its transactions."""

from collections import defaultdict
from typing import Any

from django.db import transaction

from characters.doctor import duplicates
from characters.doctor.judging import Finding
from characters.doctor.writing import judge
from characters.models import Character, Examination, ReferenceImage

DUPLICATE = "duplicate"


def settle(*, character: int) -> None:
    """Finds the character's near-duplicates anew: every photo of a group but the best gets a finding, no other has."""
    with transaction.atomic():
        rows = {row.image_id: row for row in _living(character).select_related("image")}
        best_of = {key: rows[best].image for best, others in _groups(rows) for key in others}
        changed = [row for row in rows.values() if _mark(row, best_of.get(row.image_id))]
        Examination.objects.bulk_update(changed, ["findings"], batch_size=500)
        judge([row.image_id for row in changed])


def _living(character: int) -> Any:
    return Examination.objects.filter(image__character=character, image__deleted_at=None)


def _groups(rows: dict[int, Examination]) -> list[tuple[int, list[int]]]:
    """(best, the others) of every group of near-duplicates, by primary key."""
    prints = [
        duplicates.Print(key, row.phash, row.brightness or 0.0, row.contrast or 0.0)
        for key, row in rows.items()
        if row.phash is not None
    ]
    found = []
    for keys in duplicates.groups(prints):
        best, *others = sorted(keys, key=lambda key: _merit(rows[key]), reverse=True)
        found.append((best, others))
    return found


def _merit(row: Examination) -> tuple[int, int, float, int]:
    """Fewest faults, then most pixels, then sharpest, then the older one."""
    faults = [one for one in row.findings if one["code"] not in {DUPLICATE, *row.ignored}]
    return -len(faults), row.image.width * row.image.height, row.sharpness or 0.0, -row.image_id


def _mark(row: Examination, best: ReferenceImage | None) -> bool:
    """Adds, changes or takes away the row's finding of a duplicate; whether anything changed."""
    wanted = [one for one in row.findings if one["code"] != DUPLICATE]
    if best is not None:
        text = f"Nearly the same as {best.name}, which is as good or better."
        wanted.append(Finding(DUPLICATE, "attention", text, "remove", best.public_id).to_dict())
    changed: bool = wanted != row.findings
    row.findings = wanted
    return changed


def copies_of(*, character: Character) -> list[tuple[ReferenceImage, list[ReferenceImage]]]:
    """Groups of near-duplicates as they were last found: what to keep, and its copies that nobody waved through."""
    marked = _living(character.pk).filter(findings__contains=[{"code": DUPLICATE}]).select_related("image__character")
    groups: dict[str, list[ReferenceImage]] = defaultdict(list)
    for row in marked.exclude(ignored__contains=[DUPLICATE]).order_by("image_id"):
        best = next(one["of"] for one in row.findings if one["code"] == DUPLICATE)
        groups[best].append(row.image)
    kept = {
        image.public_id: image for image in character.images.select_related("character").filter(public_id__in=groups)
    }
    return [(kept[best], others) for best, others in groups.items() if best in kept]
