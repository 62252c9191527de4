"""Moving photos to another character, with their files. Captions, tags, crops and verdicts go along.

A character's folder is erased with the character, so a photo's files must lie in its owner's: they are linked there
before the rows change, and removed from the old folder when that is sure. A crash leaves a spare link at most."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.db import transaction
from django.db.models import QuerySet

from characters import photos, thumbnails
from characters.browse.holding import hold_characters, keys_of
from characters.doctor import bell
from characters.models import Character, ReferenceImage
from isengard import storage
from isengard.binning import remove_once_sure
from isengard.errors import NotFound

FIELDS = ["character", "file", "mask", "name"]


@dataclass(frozen=True)
class Moved:
    """How many were moved, and the names of those that stayed: the other character has the very same picture."""

    count: int
    skipped: list[str]


def move_images(images: QuerySet[ReferenceImage], to: Character) -> Moved:
    """Gives photos to another character. Names that are taken there get a number. NotFound: it was deleted."""
    keys = keys_of(images.exclude(character=to))
    with transaction.atomic(), ExitStack() as undo:
        owners = ReferenceImage.objects.filter(pk__in=keys).order_by().values_list("character_id", flat=True)
        held = {character.pk: character for character in hold_characters([to.pk, *owners.distinct()])}
        if to.pk not in held:
            raise NotFound("not_found", f"Character {to.public_id} not found")
        rows = ReferenceImage.objects.select_related("character").filter(pk__in=keys).order_by("pk")
        moved, skipped, old = _move(list(rows.select_for_update(of=("self",))), held[to.pk], undo)
        ReferenceImage.objects.bulk_update(moved, FIELDS, batch_size=500)
        remove_once_sure(old)
        transaction.on_commit(lambda: bell.ring(held))
        undo.pop_all()
    return Moved(len(moved), skipped)


def _move(
    rows: list[ReferenceImage], to: Character, undo: ExitStack
) -> tuple[list[ReferenceImage], list[str], list[str]]:
    """What moves, what stays, and the storage keys that are left behind."""
    here = list(to.images.values_list("sha256", "name"))
    pictures, names = {sha256 for sha256, _ in here}, {name for _, name in here}
    moved: list[ReferenceImage] = []
    skipped: list[str] = []
    old: list[str] = []
    for image in rows:
        if image.sha256 in pictures:
            skipped.append(image.name)
            continue
        old += _rehome(image, to, undo)
        image.name = photos.free_name(image.name, names)
        pictures.add(image.sha256)
        names.add(image.name)
        moved.append(image)
    return moved, skipped, old


def _rehome(image: ReferenceImage, to: Character, undo: ExitStack) -> list[str]:
    """Links every file of the photo into the folder of `to`; the keys it had before."""
    before = thumbnails.keys(image)
    image.character = to
    image.file = storage.photo_key(to.public_id, image.public_id, PurePosixPath(image.file).suffix[1:])
    image.mask = storage.mask_key(to.public_id, image.public_id) if image.mask else ""
    after = thumbnails.keys(image)
    for source, target in zip(before, after, strict=True):
        if (path := storage.absolute(source)).is_file():
            undo.callback(storage.remove, target)
            storage.link(path, storage.absolute(target))
    return before
