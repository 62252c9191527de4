"""Importing an archive: taken in, checked as a whole before anything is kept, then handed to a job.

Both skins call these. A job, because every photo is decoded by a process of its own: a second or so each for large
ones, minutes for hundreds, and neither a closed tab nor a restart should end that."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from characters import photos
from characters import services as characters
from characters.models import Character, DatasetTask
from characters.transfer import plan as plans
from isengard import storage
from isengard.errors import Conflict, Invalid, NotFound, Unavailable
from isengard.jobs import services as jobs
from isengard.jobs.models import Job

log = logging.getLogger(__name__)

KIND = "import"
ARCHIVE = "archive.zip"


def folder_key(job: str) -> str:
    """Where an import's archive and half-done pictures lie while it runs."""
    return f"imports/{job}"


def archive_path(job: str) -> Path:
    return storage.absolute(f"{folder_key(job)}/{ARCHIVE}")


@contextmanager
def received(file: photos.Readable) -> Iterator[Path]:
    """The upload as a file on the studio's own disk, gone after the block unless it was moved.

    Invalid: empty, or over the cap. Unavailable: the disk has no room for it."""
    photos.require_space()
    folder = storage.absolute("tmp")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / ARCHIVE
        with photos.space_wanted():
            _copy(file, path)
            yield path


def _copy(file: photos.Readable, path: Path) -> None:
    given = getattr(file, "temporary_file_path", None)
    if given is not None:
        # A large upload lies on disk already, below the same folder: no second copy of it.
        shutil.move(given(), path)
    else:
        with path.open("wb") as target:
            shutil.copyfileobj(file, target)
    if path.stat().st_size == 0:
        raise Invalid("empty_file", "The file is empty (0 bytes). Make the archive again and import the new one.")
    if path.stat().st_size > settings.ARCHIVE_MAX_BYTES:
        raise too_large()


def too_large() -> Invalid:
    cap = settings.ARCHIVE_MAX_BYTES >> 30
    return Invalid("archive_too_large", f"An archive may have at most {cap} GB. Split it into several.", status=413)


def start(
    *,
    archive: Path,
    name: str,
    character: Character | None = None,
    new: dict[str, str] | None = None,
    correlation_id: str = "",
) -> DatasetTask:
    """Checks the archive and queues its import into `character`, or into a new one.

    `new`: its name, trigger word and description; what is empty comes from the archive. `name` is the file's, for
    people. Invalid: the archive is damaged, hostile or has no picture, or the new character lacks something."""
    plan = plans.of(archive)
    _require_room(archive)
    with transaction.atomic():
        target = character or _new_character(plan.about, new or {}, name)
        job = jobs.submit(kind=KIND, label=f"Import into {target.name}", correlation_id=correlation_id)
        refused = [refusal.to_dict() for refusal in plan.refused]
        options = {"name": photos.display_text(name), "photos": len(plan.pictures), "refused": refused}
        task = DatasetTask.objects.create(job=job, character=target, kind=KIND, options=options)
        _keep(archive, job)
    log.info(
        "import queued",
        extra={"event": "import.queued", "context": {"job": job.public_id, "photos": len(plan.pictures)}},
    )
    return task


def _require_room(archive: Path) -> None:
    """Photos are packed already, so what comes out is about as large as what came in."""
    if storage.free_bytes() < settings.FREE_SPACE_FLOOR + archive.stat().st_size:
        raise Unavailable("no_space", "The disk has no room for these photos. Free some space, then import again.")


def _new_character(about: plans.About, typed: dict[str, str], file_name: str) -> Character:
    stem = photos.display_text(file_name).rpartition(".")[0][: characters.MAX_NAME]
    return characters.create_character(
        name=typed.get("name") or about.name or stem,
        trigger_word=typed.get("trigger_word") or about.trigger_word,
        description=typed.get("description") or about.description,
    )


def get_import(public_id: str) -> DatasetTask:
    """With its job and character. NotFound: no import has this id."""
    tasks = DatasetTask.objects.select_related("job", "character").filter(kind=KIND)
    task = tasks.filter(job__public_id=public_id).first()
    if task is None:
        raise NotFound("not_found", f"Import {public_id} not found")
    return task


def again(job: Job) -> Job:
    """A new job for the same archive. Conflict: the archive was tidied away."""
    task = DatasetTask.objects.select_related("character").get(job=job)
    old = archive_path(job.public_id)
    if not old.is_file():
        raise Conflict("archive_gone", "The archive is no longer here. Import it again from your own copy.")
    with transaction.atomic():
        fresh = jobs.submit(kind=KIND, label=job.label, correlation_id=job.correlation_id, retry_of=job)
        DatasetTask.objects.create(job=fresh, character=task.character, kind=KIND, options=task.options)
        _keep(old, fresh)
    return fresh


def _keep(archive: Path, job: Job) -> None:
    """Last of all in its transaction: a row that cannot be written leaves no file behind."""
    kept = archive_path(job.public_id)
    kept.parent.mkdir(parents=True, exist_ok=True)
    archive.rename(kept)


def report(task: DatasetTask) -> dict[str, Any]:
    """What became of every entry so far: {added, skipped, refused, notes}: a number and three lists.

    `notes` are sentences about photos that were added, but not with all that the archive said of them."""
    if task.job.result:
        return dict(task.job.result)
    outcomes = [event.payload for event in task.job.events.filter(kind="output").order_by("seq")]
    added = [one for one in outcomes if one["outcome"] == "added"]
    noted = [{"filename": one["filename"], "reason": text} for one in added for text in one.get("notes", [])]
    return {
        "added": len(added),
        "skipped": [_said(one) for one in outcomes if one["outcome"] == "skipped"],
        "refused": [*task.options["refused"], *(_said(one) for one in outcomes if one["outcome"] == "refused")],
        "notes": noted,
    }


def _said(outcome: dict[str, Any]) -> dict[str, str]:
    return {name: outcome[name] for name in ("filename", "reason", "code")}
