"""One unpacked picture becomes a photo with all that the archive says of it: caption, tags, split, crops, mask.

Called inside the transaction that holds the job, so a photo is there with everything or not at all."""

import shutil
from pathlib import Path
from typing import Any

from characters import photos, services
from characters.browse import tags
from characters.captions import services as captions
from characters.models import CaptionVersion, Character, Crop, Examination, ReferenceImage
from characters.transfer.notes import Note
from isengard import storage
from isengard.errors import Invalid

# An examination that no doctor made: the next one keeps what the user waved through and fills in the rest.
NOT_EXAMINED = 0


def take(*, character: Character, name: str, note: Note, event: dict[str, Any]) -> dict[str, Any]:
    """What became of one entry: {outcome: added, skipped or refused, filename, and its reason, notes or image}.

    Unavailable: the disk is full, which ends the job."""
    if "code" in event:
        return {"outcome": "refused", "filename": name, "reason": event["reason"], "code": event["code"]}
    photos.require_space()
    upload = services.keep_image(
        character=character,
        clean=_clean(event),
        sha256=_source(note, event["sha256"]),
        name=note.name or name,
        original_name=note.original_name or photos.display_text(name),
        split=note.split,
        made_by=note.made_by,
    )
    if not upload.added:
        reason = f"This photo is already here as {upload.image.name}."
        return {"outcome": "skipped", "filename": name, "reason": reason, "code": "duplicate"}
    problems = [*note.problems, *_describe(upload.image, note), *_mask(upload.image, note, event)]
    return {"outcome": "added", "filename": name, "image": upload.image.public_id, "notes": problems}


def _clean(event: dict[str, Any]) -> photos.Decoded:
    fields = {key: event[key] for key in ("extension", "content_type", "width", "height", "color")}
    return photos.Decoded(path=Path(event["path"]), **fields)


def _source(note: Note, sha256: str) -> str:
    """The digest of the upload that the photo once came from, if the file is still the one it was written with."""
    return note.source_sha256 if note.source_sha256 and note.sha256 == sha256 else sha256


def _describe(image: ReferenceImage, note: Note) -> list[str]:
    """Caption, its history, tags, crops, waved-through findings; a sentence for each thing that does not fit."""
    problems = []
    try:
        _caption(image, note)
    except Invalid as error:
        problems.append(error.message)
    problems += _tags(image, note)
    Crop.objects.bulk_create(Crop(image=image, **crop) for crop in note.crops)
    if note.ignored:
        Examination.objects.create(image=image, version=NOT_EXAMINED, ignored=note.ignored)
    return problems


def _tags(image: ReferenceImage, note: Note) -> list[str]:
    names, problems = [], []
    for tag in note.tags:
        try:
            names.append(tags.normal(tag))
        except Invalid as error:
            problems.append(f"A tag was left out. {error.message}")
    for start in range(0, len(names), tags.MOST_AT_ONCE):
        tags.tag_images(ReferenceImage.objects.filter(pk=image.pk), names[start : start + tags.MOST_AT_ONCE])
    return problems


def _caption(image: ReferenceImage, note: Note) -> None:
    """With the history it came with, or as a first version of its own."""
    if not note.captions:
        captions.write(image=image, text=note.caption, by="import")
        return
    # Where, when and by whom it was written is history too: it must not begin anew with the import.
    text = captions.checked(note.caption)
    ReferenceImage.objects.filter(pk=image.pk).update(caption=text)
    told = [(CaptionVersion(image=image, text=one["text"], by=one["by"]), one["at"]) for one in note.captions]
    CaptionVersion.objects.bulk_create([version for version, _ in told])
    for version, moment in told:
        if moment is not None:
            version.created_at = moment
    CaptionVersion.objects.bulk_update([version for version, _ in told], ["created_at"])


def _mask(image: ReferenceImage, note: Note, event: dict[str, Any]) -> list[str]:
    if "mask_problem" in event:
        return [f"Mask left out. {event['mask_problem']}"]
    if "mask_path" not in event:
        return []
    key = storage.mask_key(image.character.public_id, image.public_id)
    with storage.replacing(storage.absolute(key)) as part:
        shutil.move(event["mask_path"], part)
    ReferenceImage.objects.filter(pk=image.pk).update(mask=key, mask_by=note.mask_by)
    return []
