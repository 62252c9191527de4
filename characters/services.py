"""What people do with characters and their photos. Both skins call these; knows no request and nothing of training.

Everything here owns its transaction. Files come before their row and go after it."""

import logging
import re
import shutil
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from characters import photos, thumbnails
from characters.browse.binning import bin_images
from characters.doctor import bell
from characters.models import Character, ReferenceImage
from isengard import storage
from isengard.errors import Conflict, Invalid, NotFound
from isengard.jobs import services as jobs
from isengard.jobs.models import Job, JobQuerySet

log = logging.getLogger(__name__)

TRIGGER = re.compile(r"[\w-]{2,50}")
MAX_NAME, MAX_DESCRIPTION = 100, 500
TRIGGER_RULE = (
    "A trigger word is 2 to 50 letters, digits, _ or -, without spaces or commas: one word that means nothing else, "
    "such as ohwx."
)


@dataclass(frozen=True)
class Upload:
    """The stored photo, and whether this upload added it (False: the character already had the very same file)."""

    image: ReferenceImage
    added: bool


def create_character(*, name: str, trigger_word: str, description: str = "") -> Character:
    """Invalid: a name, trigger word or description that cannot be used."""
    character = Character.objects.create(
        name=_name(name), trigger_word=_trigger(trigger_word), description=_description(description)
    )
    log.info("character made", extra={"event": "character.created", "context": {"character": character.public_id}})
    return character


def update_character(
    *, character: Character, name: str | None = None, trigger_word: str | None = None, description: str | None = None
) -> Character:
    """Changes what is given; None leaves a field as it is, an empty description clears it."""
    if name is not None:
        character.name = _name(name)
    if trigger_word is not None:
        character.trigger_word = _trigger(trigger_word)
    if description is not None:
        character.description = _description(description)
    character.save(update_fields=["name", "trigger_word", "description", "updated_at"])
    return character


def delete_character(*, character: Character, typed_name: str) -> None:
    """Deletes it with photos, trainings, LoRAs and pictures. Invalid: another name was typed. Conflict: a job runs."""
    if typed_name.strip() != character.name:
        raise Invalid("name_mismatch", f"Type {character.name} exactly as it is written to delete it.")
    with transaction.atomic():
        locked = _locked(character)
        theirs = jobs_of(locked)
        if theirs.active().exists():
            raise Conflict(
                "job_active", f"{locked.name} still has a job queued or running. Cancel it first, then delete."
            )
        for job in theirs:
            jobs.remove(job=job)
        locked.delete()
        transaction.on_commit(lambda: _remove(storage.character_folders(locked.public_id)))
    log.info("character deleted", extra={"event": "character.deleted", "context": {"character": locked.public_id}})


def jobs_of(character: Character) -> JobQuerySet:
    """Every job whose product row hangs on this character, whatever app it belongs to."""
    found: set[int] = set()
    for relation in Character._meta.related_objects:
        model = relation.related_model
        if any(field.name == "job" for field in model._meta.fields):
            rows = model._default_manager.filter(**{relation.field.name: character})
            found.update(rows.values_list("job_id", flat=True))
    return Job.objects.filter(pk__in=found)


def add_image(*, character: Character, file: photos.Readable, name: str, caption: str = "", **fields: Any) -> Upload:
    """Stores one photo: decoded, upright, sRGB, without metadata, under a name of ours; `fields` as in `keep_image`.

    `name` is shown and never becomes a path. The same bytes a second time change nothing (`added` is False), unless
    the stored file has vanished from the disk: then it is put back.
    Invalid: empty, too large, no picture, damaged, too small …, with the reason. Unavailable: the disk is full."""
    photos.require_space()
    with photos.received(file) as (path, sha256):
        if same := character.images.filter(sha256=sha256).first():
            return _brought_back(same, photos.decoded(path)) if same.missing else Upload(same, added=False)
        clean = photos.decoded(path)
        return keep_image(character=character, clean=clean, sha256=sha256, name=name, caption=caption.strip(), **fields)


def keep_image(*, character: Character, clean: photos.Decoded, sha256: str, name: str, **fields: Any) -> Upload:
    """Moves a decoded picture to its place and writes its row. `sha256` is that of the file it was decoded from;
    `fields` are further columns, such as the caption. Not `added` where the character has that file already."""
    fields.setdefault("original_name", photos.display_text(name))
    image = ReferenceImage(
        character=character,
        name=photos.safe_name(name, clean.extension),
        sha256=sha256,
        content_type=clean.content_type,
        width=clean.width,
        height=clean.height,
        size_bytes=clean.path.stat().st_size,
        color=clean.color,
        **fields,
    )
    image.file = storage.photo_key(character.public_id, image.public_id, clean.extension)
    with storage.replacing(storage.absolute(image.file)) as part:
        shutil.move(clean.path, part)
    return _recorded(image)


def _brought_back(image: ReferenceImage, clean: photos.Decoded) -> Upload:
    """A photo whose file had vanished, uploaded again: the file comes back, what was said about it has stayed."""
    image.file = storage.photo_key(image.character.public_id, image.public_id, clean.extension)
    image.content_type, image.size_bytes = clean.content_type, clean.path.stat().st_size
    image.missing_at, image.thumb_ready = None, False
    with storage.replacing(storage.absolute(image.file)) as part:
        shutil.move(clean.path, part)
    image.save(update_fields=["file", "content_type", "size_bytes", "missing_at", "thumb_ready"])
    thumbnails.ring(image.pk)
    return Upload(image, added=True)


def _recorded(image: ReferenceImage) -> Upload:
    """The row for a file that is in place. The lock makes two uploads of one name (or one file) take turns."""
    kept = False
    try:
        with transaction.atomic():
            character = _locked(image.character)
            if same := character.images.filter(sha256=image.sha256).first():
                return Upload(same, added=False)
            image.name = photos.free_name(image.name, set(character.images.values_list("name", flat=True)))
            image.save(force_insert=True)
            transaction.on_commit(lambda: thumbnails.ring(image.pk))
            transaction.on_commit(lambda: bell.ring([character.pk]))
            kept = True
    finally:
        if not kept:
            storage.remove(image.file)
    log.info("photo stored", extra={"event": "upload.success", "context": {"image": image.public_id}})
    return Upload(image, added=True)


def delete_image(*, image: ReferenceImage) -> None:
    """Puts one photo into the bin. A training that is running or finished keeps what it learned from."""
    delete_images(character=image.character, image_ids=[image.public_id])


def delete_images(*, character: Character, image_ids: list[str]) -> int:
    """Puts those of the given photos into the bin that belong to the character; how many they were."""
    return bin_images(character.images.filter(public_id__in=image_ids)).count


def _locked(character: Character) -> Character:
    """The row as it is now, held until the transaction ends; whoever wants to hang something on it waits."""
    found = Character.objects.select_for_update().filter(pk=character.pk).first()
    if found is None:
        raise NotFound("not_found", f"Character {character.public_id} not found")
    return found


def _remove(keys: tuple[str, ...]) -> None:
    for key in keys:
        storage.remove(key)


def _name(value: str) -> str:
    name = value.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid("bad_name", f"A name has 1 to {MAX_NAME} characters on one line.")
    return name


def _trigger(value: str) -> str:
    word = value.strip()
    if not TRIGGER.fullmatch(word):
        raise Invalid("bad_trigger_word", TRIGGER_RULE)
    return word


def _description(value: str) -> str:
    text = value.strip()
    if len(text) > MAX_DESCRIPTION or "\x00" in text:
        raise Invalid("bad_description", f"A description has at most {MAX_DESCRIPTION} characters.")
    return text
