"""How a training job talks to the engine: its spec, its samples and checkpoints as rows, its LoRA at the end."""

from typing import Any, Literal, cast

from isengard import storage
from isengard.engine import rundir
from isengard.engine.specs import TrainSpec
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job
from training import bases, carrying, experience, freezing, heard, loras, prompts, services
from training.models import Lora, TrainingRun


def run_of(job: Job) -> TrainingRun:
    return TrainingRun.objects.select_related("character", "job").get(job=job)


class TrainingHandler:
    """See `isengard.jobs.handlers.Handler` for when each method is called."""

    def spec(self, job: Job) -> dict[str, Any]:
        run = run_of(job)
        folder = storage.absolute(storage.run_key(job.public_id))
        states, initial = rundir.states(folder), rundir.initial(folder)
        return TrainSpec(
            job=job.public_id,
            base=bases.located(run.base),
            run_dir=str(folder),
            cache_dir=str(storage.cache_dir()),
            images=tuple(sample for photo in run.photos for sample in freezing.samples(photo)),
            trigger_word=run.trigger_word,
            class_word=run.class_word,
            prompts=sample_prompts(run),
            params=run.params,
            resume_from=str(states[-1]) if states else None,
            start="longer" if run.begun_at else cast(Literal["fresh", "longer", "warm"], run.start),
            init_lora=str(initial) if initial.is_file() else None,
            title=f"{run.character.name} ({run.trigger_word})",
        ).to_dict()

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        take = heard.HEARD.get(event["type"])
        return take(run_of(job), event) if take else None

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        run = run_of(job)
        lora = loras.publish(run, result)
        experience.remember(run, result)
        return {
            "lora": lora.public_id,
            "version": lora.version,
            "final_loss": lora.final_loss,
            "steps": lora.steps,
            "seconds": result.get("seconds"),
        }

    def on_ended(self, job: Job) -> None:
        """A completed run leaves its LoRA to the library, its state and photos to be trained longer until there is a
        newer version. Any other leaves both to whoever lets it go on, or trains again."""
        run = TrainingRun.objects.select_related("job__retry_of").filter(job=job).first()
        if job.state == Job.State.COMPLETED:
            rundir.final(storage.absolute(storage.run_key(job.public_id))).unlink(missing_ok=True)
        if run is not None:
            (carrying.forget_older if job.state == Job.State.COMPLETED else carrying.forget_overtaken)(run)

    def resubmit(self, job: Job) -> Job:
        return services.again(run=run_of(job)).job

    def on_removed(self, job: Job) -> None:
        """The LoRA stays: it has a row and a file of its own."""
        storage.remove(storage.run_key(job.public_id))

    def artifacts(self, job: Job) -> list[Artifact]:
        run = TrainingRun.objects.filter(job=job).first()
        if run is None:
            return []
        return [*_sample_files(run), *_checkpoint_files(run), *_lora_files(run)]


def sample_prompts(run: TrainingRun) -> tuple[str, ...]:
    custom = run.params.get("sample_prompts") or []
    return prompts.sample_prompts(custom, run.params["sample_count"], run.trigger_word, run.class_word)


def _sample_files(run: TrainingRun) -> list[Artifact]:
    found: list[Artifact] = []
    for sample in run.samples.all():
        path = storage.absolute(sample.file)
        size = path.stat().st_size if path.is_file() else 0
        found.append(
            Artifact(
                name=sample.name,
                type="sample",
                key=sample.file,
                size_bytes=size,
                created_at=sample.created_at,
                step=sample.step,
            )
        )
    return found


def _checkpoint_files(run: TrainingRun) -> list[Artifact]:
    return [
        Artifact(
            name=saved.name,
            type="checkpoint",
            key=saved.file,
            size_bytes=saved.size_bytes,
            created_at=saved.created_at,
            step=saved.step,
        )
        for saved in run.checkpoints.filter(deleted_because="")
    ]


def _lora_files(run: TrainingRun) -> list[Artifact]:
    return [
        Artifact(
            name=lora.filename,
            type="model",
            key=lora.file,
            size_bytes=lora.size_bytes,
            created_at=lora.created_at,
            step=lora.steps,
            url=lora.download_url,
        )
        for lora in Lora.objects.filter(run=run)
    ]
