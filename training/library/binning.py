"""Deleting a LoRA version so that it can be brought back for a minute: the row goes at once, its files a little later.

A note beside the LoRAs keeps the row and who pointed at it; no reader has to know of versions that are gone."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from django.core import serializers
from django.db import transaction

from characters.models import Character
from isengard import storage
from isengard.errors import Invalid, NotFound
from training import services
from training.models import Checkpoint, Lora, TrainingRun

UNDO_SECONDS = 60
# Behind the last moment at which somebody may bring it back, so that the two never meet.
PURGE_SECONDS = 120
Note = dict[str, Any]


def _folder() -> Path:
    return storage.absolute("loras/deleted")


def _path(public_id: str) -> Path:
    return storage.absolute(f"loras/deleted/{public_id}.json")


def delete(*, lora: Lora) -> None:
    """Out of the library; `restore` brings it back for a minute, then its files go."""
    worn = {relation.name: list(_pointing(relation, lora)) for relation in Lora._meta.related_objects}
    note = {"row": serializers.serialize("json", [lora]), "worn": worn, "was_active": lora.is_active}
    note["created_at"] = lora.created_at.isoformat()  # the serializer cuts it to milliseconds
    with transaction.atomic():
        with storage.replacing(_path(lora.public_id)) as part:
            part.write_text(json.dumps(note))
        services.withdraw_lora(lora=lora)


def _pointing(relation: Any, lora: Lora) -> Any:
    return relation.related_model._base_manager.filter(**{relation.field.name: lora}).values_list("pk", flat=True)


def restore(*, public_id: str) -> Lora:
    """The version as it was, worn by whatever wore it. Invalid too_late: its minute is over. NotFound: its character
    was deleted meanwhile."""
    path = _path(public_id)
    if not path.is_file() or time.time() - path.stat().st_mtime > UNDO_SECONDS:
        raise Invalid("too_late", "It is too late to undo that.")
    note: Note = json.loads(path.read_text())
    with transaction.atomic():
        lora = _row_of(note)
        if not Character.objects.select_for_update(no_key=True).filter(pk=lora.character_id).exists():
            raise NotFound("not_found", "The character of this LoRA was deleted, too.")
        if not Lora.objects.filter(public_id=public_id).exists():
            _put_back(lora, note)
    path.unlink(missing_ok=True)
    return Lora.objects.select_related("character").get(public_id=public_id)


def _row_of(note: Note) -> Lora:
    [told] = serializers.deserialize("json", note["row"])
    lora = cast(Lora, told.object)
    lora.created_at = datetime.fromisoformat(note["created_at"])
    return lora


def _put_back(lora: Lora, note: Note) -> None:
    """What it came from may be gone, or have become another version, in the meantime."""
    lora.run = TrainingRun.objects.filter(pk=lora.run_id or 0, lora=None).first()
    lora.checkpoint = Checkpoint.objects.filter(pk=lora.checkpoint_id or 0, lora=None).first()
    lora.is_active = False
    lora.save_base(raw=True, force_insert=True)  # raw: it keeps the moment at which it was made
    for relation in Lora._meta.related_objects:
        rows = relation.related_model._base_manager.filter(pk__in=note["worn"].get(relation.name, []))
        rows.update(**{relation.field.name: lora})
    if note["was_active"]:
        services.set_active(lora=lora)


def purge() -> int:
    """Erases the files of what nobody brought back; how many versions."""
    late = time.time() - PURGE_SECONDS
    notes = [path for path in _folder().glob("*.json") if path.stat().st_mtime < late]
    for path in notes:
        lora = _row_of(json.loads(path.read_text()))
        if not Lora.objects.filter(public_id=lora.public_id).exists():
            services.erase_lora(key=lora.file, run=TrainingRun.objects.filter(pk=lora.run_id or 0).first())
        path.unlink(missing_ok=True)
    return len(notes)
