"""How a job of captions talks to the engine: its spec, what each photo's answer becomes, what it says at the end."""

from typing import Any

from characters.captions import writing
from characters.models import DatasetTask, ReferenceImage
from isengard import storage
from isengard.engine.captioners import Captioner
from isengard.engine.specs import CaptionImage, CaptionModel, CaptionSpec
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job


def task_of(job: Job) -> DatasetTask:
    return DatasetTask.objects.select_related("character", "job").get(job=job)


class CaptionHandler:
    """See `isengard.jobs.handlers.Handler` for when each method is called."""

    def spec(self, job: Job) -> dict[str, Any]:
        task = task_of(job)
        models = tuple(_model(writing.located(key), task.options["detail"]) for key in task.options["models"])
        return CaptionSpec(job=job.public_id, models=models, images=_images(task)).to_dict()

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        """A caption; the browser asks for the page again, so the event itself need not carry the words."""
        if event["type"] != "caption":
            return None
        task = task_of(job)
        writing.take(task, event["index"], event["model"], event["text"], event.get("error", ""))
        return {"image": task.options["images"][event["index"]], "model": event["model"]}

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        options = task_of(job).options
        counts = {name: options[name] for name in ("written", "kept")}
        return {**counts, "failed": len(options["failed"]), "message": _said(options), "seconds": result.get("seconds")}

    def on_ended(self, job: Job) -> None:
        """Nothing lies around: captions are rows."""

    def resubmit(self, job: Job) -> Job:
        return writing.again(task=task_of(job)).job

    def on_removed(self, job: Job) -> None:
        """The captions stay; the task went with the job."""

    def artifacts(self, job: Job) -> list[Artifact]:
        return []


def _model(found: Captioner, detail: str) -> CaptionModel:
    """As detailed as asked, or as far as this model goes."""
    chosen = next((one for one in reversed(found.details) if one == detail), found.details[0])
    return CaptionModel(key=found.key, label=found.label, kind=found.kind, path=found.path, detail=chosen)


def _images(task: DatasetTask) -> tuple[CaptionImage, ...]:
    """Those that an earlier attempt has not got through, and that are still there."""
    files = dict(ReferenceImage.objects.filter(public_id__in=task.options["images"]).values_list("public_id", "file"))
    left = list(enumerate(task.options["images"]))[task.options["done"] :]
    return tuple(CaptionImage(index, str(storage.absolute(files[key]))) for index, key in left if key in files)


def _said(options: dict[str, Any]) -> str:
    if options["mode"] == writing.TRY:
        return f"Described {_count(len(options['results']), 'photo')}. Nothing was changed yet."
    parts = [f"{_count(options['written'], 'caption')} written"]
    if options["kept"]:
        parts.append(f"{options['kept']} left as they were")
    if options["failed"]:
        parts.append(f"{_count(len(options['failed']), 'photo')} could not be read")
    return f"{', '.join(parts)}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
