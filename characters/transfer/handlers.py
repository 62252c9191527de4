"""The import job: what the engine is to unpack, what each picture becomes, and what is left of it all in the end."""

import shutil
from typing import Any

from django.conf import settings

from characters import photos
from characters.models import DatasetTask
from characters.transfer import plan as plans
from characters.transfer import services, taking
from isengard import storage
from isengard.engine.specs import UnpackSpec
from isengard.errors import Unavailable
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job

CLEAN = "pictures"


class ImportHandler:
    """One instance sees one job through, so it works the plan out once."""

    def __init__(self) -> None:
        self._plan: plans.Plan | None = None

    def spec(self, job: Job) -> dict[str, Any]:
        """Only what an earlier attempt did not reach. Unavailable: the archive is gone."""
        path = services.archive_path(job.public_id)
        if not path.is_file():
            raise Unavailable("archive_gone", "The archive is no longer there. Import it again from your own copy.")
        done = {event.payload["index"] for event in job.events.filter(kind="output")}
        members = self._planned(job).members(done)
        spec = UnpackSpec(
            job=job.public_id,
            archive=str(path),
            out_dir=str(storage.absolute(f"{services.folder_key(job.public_id)}/{CLEAN}")),
            members=members,
            min_side=settings.PHOTO_MIN_SIDE,
            largest_file=photos.LARGEST_CLEAN * settings.PHOTO_MAX_BYTES,
            done=len(done),
        )
        return spec.to_dict()

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        if event["type"] != "output":
            return None
        plan, index = self._planned(job), event["index"]
        character = DatasetTask.objects.select_related("character").get(job=job).character
        name = plan.pictures[index].name
        return {"index": index, **taking.take(character=character, name=name, note=plan.notes[index], event=event)}

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        return services.report(services.get_import(job.public_id))

    def on_ended(self, job: Job) -> None:
        """A failed import keeps its archive, so that it can be tried again; the daily sweep takes it later."""
        folder = storage.absolute(services.folder_key(job.public_id))
        shutil.rmtree(folder if job.state == Job.State.COMPLETED else folder / CLEAN, ignore_errors=True)

    def resubmit(self, job: Job) -> Job:
        return services.again(job)

    def on_removed(self, job: Job) -> None:
        storage.remove(services.folder_key(job.public_id))

    def artifacts(self, job: Job) -> list[Artifact]:
        """None: what it made are photos, which belong to their character."""
        return []

    def _planned(self, job: Job) -> plans.Plan:
        if self._plan is None:
            self._plan = plans.of(services.archive_path(job.public_id))
        return self._plan
