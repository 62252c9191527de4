"""How a job of pictures talks to the engine: its spec, its pictures as rows, and what counts as done."""

from pathlib import Path
from typing import Any

from django.urls import reverse
from PIL import Image

from generation import services
from generation.models import THUMB_SIZE, Generation, Output
from isengard import storage
from isengard.engine.errors import EngineError
from isengard.engine.specs import GenerateSpec, LoraRef
from isengard.jobs.handlers import Artifact
from isengard.jobs.models import Job
from training import bases

# Parameters of the request as a whole; the engine is told them in other words (seeds, the LoRA's strength).
OF_REQUEST = ("seed", "lora_strength")


def generation_of(job: Job) -> Generation:
    return Generation.objects.select_related("character", "lora__character", "job").get(job=job)


class GenerationHandler:
    """See `isengard.jobs.handlers.Handler` for when each method is called."""

    def spec(self, job: Job) -> dict[str, Any]:
        generation = generation_of(job)
        services.require_lora(generation)
        return GenerateSpec(
            job=job.public_id,
            base=bases.located(generation.base),
            out_dir=str(storage.absolute(storage.output_key(job.public_id))),
            cache_dir=str(storage.cache_dir()),
            prompt=generation.prompt,
            seeds=generation.seeds,
            params={name: value for name, value in generation.params.items() if name not in OF_REQUEST},
            loras=_loras(generation),
            recipe=_recipe(generation),
        ).to_dict()

    def on_event(self, job: Job, event: dict[str, Any]) -> dict[str, Any] | None:
        if event["type"] == "output":
            return _output(generation_of(job), event)
        if event["type"] == "preview":
            name = Path(event["path"]).name
            url = reverse("api-generation-preview", args=[job.public_id, name])
            return {"index": event["index"], "step": event["step"], "total": event["total"], "url": url}
        return None

    def finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Fewer pictures than asked for are still a result, with a note; none is a failure."""
        generation = generation_of(job)
        made = generation.outputs.count()
        if not made:
            raise EngineError(
                "no_pictures", "The engine made no picture. Try again; if it repeats, see the log.", retryable=True
            )
        note = "" if made == generation.count else f"{made} of {generation.count} pictures were made."
        return {"outputs": made, "seconds": result.get("seconds"), "message": note}

    def on_ended(self, job: Job) -> None:
        """Previews are only for watching."""
        for preview in storage.absolute(storage.output_key(job.public_id)).glob("preview*"):
            preview.unlink(missing_ok=True)

    def resubmit(self, job: Job) -> Job:
        return services.again(generation=generation_of(job)).job

    def on_removed(self, job: Job) -> None:
        storage.remove(storage.output_key(job.public_id))

    def artifacts(self, job: Job) -> list[Artifact]:
        return [
            Artifact(
                name=output.name,
                type="output",
                key=output.file,
                size_bytes=output.size_bytes,
                created_at=output.created_at,
                step=None,
                url=output.url,
            )
            for output in Output.objects.filter(generation__job=job).select_related("generation__job")
        ]


def _loras(generation: Generation) -> tuple[LoraRef, ...]:
    lora = generation.lora
    if lora is None:
        return ()
    strength = generation.params["lora_strength"]
    return (LoraRef(path=str(storage.absolute(lora.file)), sha256=lora.sha256, strength=strength),)


def _recipe(generation: Generation) -> dict[str, Any]:
    """What the picture's own text says about its origin: ids and digests, never a path."""
    recipe: dict[str, Any] = {"job": generation.job.public_id}
    if generation.character is not None:
        recipe["character"] = {"id": generation.character.public_id, "name": generation.character.name}
    if (lora := generation.lora) is not None:
        recipe["lora"] = {
            "id": lora.public_id,
            "name": Path(lora.filename).stem,
            "version": lora.version,
            "sha256": lora.sha256,
            "strength": generation.params["lora_strength"],
            "trigger_word": lora.trigger_word,
        }
    return recipe


def _output(generation: Generation, event: dict[str, Any]) -> dict[str, Any]:
    path = Path(event["path"])
    fields = {name: event[name] for name in ("seed", "width", "height", "size_bytes", "seconds")}
    output, _ = Output.objects.update_or_create(
        generation=generation, index=event["index"], defaults={**fields, "file": storage.key_of(path)}
    )
    if output.has_thumb:
        make_thumb(path, storage.absolute(output.thumb))
    return {
        "index": output.index,
        "seed": output.seed,
        "width": output.width,
        "height": output.height,
        "url": output.url,
    }


def make_thumb(picture: Path, target: Path) -> None:
    """A WebP with a longer side of 512 px; a tiny picture is enlarged to it."""
    with Image.open(picture) as image, storage.replacing(target) as part:
        scale = THUMB_SIZE / max(image.size)
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        image.resize(size, Image.Resampling.LANCZOS).save(part, "WEBP", quality=82)
