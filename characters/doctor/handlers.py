"""The photo check as a job: what the engine is to look at, what it found as rows, what is said in the end."""

from typing import Any

from characters.doctor import bell, copies, services, writing
from characters.models import DatasetTask, ReferenceImage
from isengard import storage
from isengard.engine.specs import ExamineImage, ExamineSpec
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job


class ExamineHandler:
    """See `isengard.jobs.handlers.Handler` for when each method is called."""

    def spec(self, job: Job) -> dict[str, Any]:
        """What is next of the character's photos; those that came after the job was asked for, too."""
        images = tuple(
            ExamineImage(pk, str(storage.absolute(file)))
            for pk, file in services.to_examine(job).values_list("pk", "file")
        )
        before, left = services.progress(_character(job))
        after = left - len(images)
        return ExamineSpec(job.public_id, images, services.yunet(), before=before, after=after).to_dict()

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        """Rows are all that is kept: a durable event per photo would only fill the table."""
        if event["type"] == "output":
            writing.record(character=_character(job), answers=event["photos"])
        return None

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        character = _character(job)
        if not services.unchecked(character).exists():
            copies.settle(character=character)
        verdicts = ReferenceImage.objects.filter(character=character).values_list("verdict", flat=True)
        counts = {name: list(verdicts).count(name) for name in ReferenceImage.Verdict.values}
        return {"photos": result["photos"], "seconds": result.get("seconds"), **counts}

    def on_ended(self, job: Job) -> None:
        """Whatever was uploaded while it ran is looked at next."""
        task = DatasetTask.objects.filter(job=job).first()
        if task is not None and job.state == Job.State.COMPLETED:
            bell.ring([task.character_id])

    def resubmit(self, job: Job) -> Job:
        return services.again(job=job)

    def on_removed(self, job: Job) -> None:
        """What it found belongs to the photos."""

    def artifacts(self, job: Job) -> list[Artifact]:
        return []


def _character(job: Job) -> int:
    return DatasetTask.objects.values_list("character_id", flat=True).get(job=job)
