"""How a job of pictures talks to the engine: its spec, its pictures as rows, and what counts as done."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction
from django.urls import reverse

from generation import inputs, services, thumbs, wearing
from generation.models import Generation, Output
from isengard import storage
from isengard.engine.errors import EngineError
from isengard.engine.specs import GenerateSpec, LoraRef, Variant
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
        worn = _References()
        return GenerateSpec(
            job=job.public_id,
            base=bases.located(generation.base),
            out_dir=str(storage.absolute(storage.output_key(job.public_id))),
            cache_dir=str(storage.cache_dir()),
            prompt=generation.prompt,
            seeds=generation.seeds,
            params={name: value for name, value in generation.params.items() if name not in OF_REQUEST},
            loras=tuple(worn.of(entry) for entry in services.worn_by(generation)),
            recipe=_recipe(generation),
            tool=generation.tool,
            inputs=inputs.files(generation),
            variants=tuple(_variant(own, worn) for own in generation.variants),
            skip=tuple(generation.struck),
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
        return {"outputs": made, "seconds": result.get("seconds"), "message": _note(generation, made)}

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


def _note(generation: Generation, made: int) -> str:
    """What is to be said of a request with fewer pictures than were asked for."""
    struck = len(generation.struck)
    by_you = f"; {struck} {'was' if struck == 1 else 'were'} cancelled by you" if struck else ""
    return "" if made == generation.count else f"{made} of {generation.count} pictures were made{by_you}."


class _References:
    """Files of what is worn, each looked up and read once however many pictures of a request wear it."""

    def __init__(self) -> None:
        self._known: dict[str, LoraRef] = {}

    def of(self, entry: dict[str, Any]) -> LoraRef:
        key = entry["id"]
        if key not in self._known:
            self._known[key] = wearing.reference(entry)
        return replace(self._known[key], strength=entry["strength"])


def _variant(own: dict[str, Any], worn: _References) -> Variant:
    """What one picture has of its own; its seed travels among the seeds."""
    entries = own.get("loras")
    loras = None if entries is None else tuple(worn.of(entry) for entry in entries)
    return Variant(prompt=own.get("prompt"), loras=loras, params=own.get("params") or {})


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
    if generation.more_loras:
        recipe["more_loras"] = generation.more_loras
    if generation.written.get("styles"):
        recipe["styles"] = generation.written["styles"]
    if any("prompt" in variant for variant in generation.variants):
        recipe["template"] = generation.prompt
    return recipe


# Of a picture that is told again.
TOLD = ("file", "seed", "width", "height", "size_bytes", "seconds", "prompt", "worn")


def _output(generation: Generation, event: dict[str, Any]) -> dict[str, Any]:
    """Its row, in one statement. The thumbnail follows when the row is sure: nobody who waits for the picture waits for
    that."""
    fields = {name: event[name] for name in ("index", "seed", "width", "height", "size_bytes", "seconds")}
    own = generation.variants[event["index"]] if generation.variants else {}
    output = Output(
        generation=generation,
        file=storage.key_of(Path(event["path"])),
        prompt=own.get("prompt") or "",
        worn=[entry["id"] for entry in own["loras"]] if "loras" in own else None,
        **fields,
    )
    Output.everything.bulk_create(
        [output], update_conflicts=True, unique_fields=["generation", "index"], update_fields=TOLD
    )
    transaction.on_commit(partial(thumbs.soon, output))
    return {name: fields[name] for name in ("index", "seed", "width", "height")} | {"url": output.url}
