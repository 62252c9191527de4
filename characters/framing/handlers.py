"""How a job of masks talks to the engine: its spec, each mask as it comes, what became of all."""

from typing import Any

from characters.framing import crops, masks
from characters.models import DatasetTask, ReferenceImage
from isengard import storage
from isengard.engine.specs import MaskImage, MaskSpec
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job


class MaskHandler:
    """See `isengard.jobs.handlers.Handler` for when each method is called."""

    def spec(self, job: Job) -> dict[str, Any]:
        """What an earlier attempt did not reach, without photos that are gone or that somebody masked by hand."""
        options = _options(job)
        done = {event.payload["index"] for event in job.events.filter(kind="output")}
        waiting = {name: index for index, name in enumerate(options["images"]) if index not in done}
        found = ReferenceImage.objects.filter(public_id__in=waiting).select_related("character", "examination")
        if not options["replace"]:
            found = found.exclude(mask_by="user")
        images = tuple(_image(image, waiting[image.public_id]) for image in found.order_by("id"))
        return MaskSpec(job.public_id, options["shape"], images).to_dict()

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        if event["type"] != "output":
            return None
        options = _options(job)
        name = options["images"][event["index"]]
        facts: dict[str, Any] = {key: event[key] for key in ("covered", "guessed", "code", "reason") if key in event}
        taken = "code" not in event and masks.take(public_id=name, replace=options["replace"])
        return {"index": event["index"], "image": name, "taken": taken, **facts}

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        told = [event.payload for event in job.events.filter(kind="output").order_by("seq")]
        return {**masks.tally(told), "seconds": result.get("seconds")}

    def on_ended(self, job: Job) -> None:
        """A mask that was written and not taken any more is of no use."""
        images = ReferenceImage.objects.filter(public_id__in=_options(job)["images"]).select_related("character")
        for image in images:
            storage.remove(masks.made_key(image))

    def resubmit(self, job: Job) -> Job:
        return masks.again(job=job)

    def on_removed(self, job: Job) -> None:
        """The masks belong to their photos."""

    def artifacts(self, job: Job) -> list[Artifact]:
        return []


def _options(job: Job) -> dict[str, Any]:
    options: dict[str, Any] = DatasetTask.objects.get(job=job).options
    return options


def _image(image: ReferenceImage, index: int) -> MaskImage:
    out = storage.absolute(masks.made_key(image))
    return MaskImage(index, str(storage.absolute(image.file)), str(out), crops.faces(image))
