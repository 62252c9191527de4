"""What people do with pictures: ask for them, ask again, stop. Plain values in, rows out; knows no request."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from characters.models import Character
from generation import composing, inputs, knobs, striking, wearing
from generation.composing import MAX_PROMPT, SEEDS, Written
from generation.models import Generation, Output
from generation.wearing import Worn
from isengard.errors import Conflict, Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job, JobQuerySet
from isengard.logs import correlation
from training import bases
from training.models import Lora

__all__ = ["MAX_COUNT", "MAX_PROMPT", "again", "require_lora", "start_generation"]

MAX_COUNT = 8
MAX_BATCHES = 10
COPIED = (
    *("character", "lora", "lora_name", "base", "prompt", "count", "params", "tool", "inputs", "source"),
    *("more_loras", "variants", "written", "axes", "purpose"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it comes in. `worn`: in place of a LoRA of `character`; `more`: further ones, with strengths;
    `inputs`: keys of what the tool is given (generation.inputs), of which `source` is the picture here it came from."""

    prompt: str
    character: Character | None = None
    worn: Worn | None = None
    base: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    count: int = 1
    seed: int | None = None
    strength: float | None = None
    more: Sequence[tuple[Worn, float | None]] = ()
    styles: Sequence[str] = ()
    seeds: str = "increment"
    aspect_ratio: str = ""
    quality: str = ""
    purpose: str = Generation.Purpose.PICTURES
    tool: str = "draw"
    inputs: dict[str, str] = field(default_factory=dict)
    source: Output | None = None


def start_generation(
    *,
    prompt: str,
    character: Character | None = None,
    lora: Lora | None = None,
    correlation_id: str = "",
    batches: int = 1,
    values: dict[str, Any] | None = None,
    worn: Worn | None = None,
    **asked: Any,
) -> Generation:
    """Queued pictures of one prompt, seed, seed + 1 and so on; with `batches`, the first of so many requests that go on
    with the seeds. A character without `lora` means its active LoRA. The rest is as in `Asked`.

    Invalid: an empty prompt, an impossible value, an untrained character, a LoRA for another base or without file.
    Unavailable: the base model is not on disk, or the disk is full."""
    worn = worn or (wearing.of_lora(lora) if lora else None)
    whole = Asked(prompt=prompt, character=character, worn=worn, values=values or {}, **asked)
    _require_count("batches", batches, MAX_BATCHES)
    with transaction.atomic():
        first = submit(prepared(whole), correlation_id)
        for number in range(1, batches):
            seed = None if whole.seeds == "random" else (first.params["seed"] + number * whole.count) % SEEDS
            submit(prepared(Asked(**{**whole.__dict__, "seed": seed})), correlation_id)
    return first


def prepared(asked: Asked) -> dict[str, Any]:
    """The fields of a Generation, every value checked and frozen. Writes nothing; raises as `start_generation` does."""
    main = asked.worn or (wearing.of_lora(active_lora(asked.character)) if asked.character else None)
    key = asked.base or (main.base if main else bases.default_key())
    model = bases.find(key)
    _require_count("count", asked.count, MAX_COUNT)
    composing.require_prompt(asked.prompt)
    entries = _entries(main, asked, key)
    bases.require_drawable(key)
    bases.require_space()
    knobs.require_tool(asked.tool, model, asked.inputs, len(entries))
    params = knobs.cleaned(model, asked, entries[0]["strength"] if main else asked.strength)
    written = Written(asked.prompt, list(asked.styles), asked.seeds)
    of_lora = main is not None and main.lora is not None
    triggers = [worn.trigger for worn in _everything(main, asked)]
    return {
        "character": asked.character or (main.character if main else None),
        "lora": main.lora if main else None,
        "lora_name": f"{main.name} ({main.key})" if main and of_lora else "",
        "more_loras": entries[1:] if of_lora else entries,
        "base": key,
        "count": asked.count,
        "params": params,
        "purpose": asked.purpose,
        "tool": asked.tool,
        "inputs": asked.inputs,
        "source": asked.source,
        "written": {**written.to_dict(), "negative_prompt": asked.values.get("negative_prompt") or ""},
        **_words(written, triggers, params, asked),
    }


def _words(written: Written, triggers: list[str], params: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """The prompt and what each picture has of its own; the first seed becomes a number."""
    text = composing.worded(written, triggers)
    seeds = composing.seeds_of(asked.seeds, params["seed"], asked.count)
    params["seed"] = seeds[0]
    return {"prompt": text, "variants": composing.variants_of(text, triggers, asked.seeds, seeds)}


def _everything(main: Worn | None, asked: Asked) -> list[Worn]:
    return [*([main] if main else []), *(worn for worn, _ in asked.more)]


def _entries(main: Worn | None, asked: Asked, base: str) -> list[dict[str, Any]]:
    """All that is worn, the main one first, as a request remembers it. Invalid: something of it cannot be."""
    first = [wearing.entry(main, asked.strength)] if main else []
    entries = [*first, *(wearing.entry(worn, strength) for worn, strength in asked.more)]
    wearing.require_all(entries, base)
    return entries


def active_lora(character: Character) -> Lora:
    found = Lora.objects.active().filter(character=character).first()
    if found is None:
        raise Invalid(
            "not_trained", f"Character {character.public_id} has not been trained yet. Train {character.name} first."
        )
    return found


def _require_count(name: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise Invalid("bad_param", f"{name} is {count}, but must be from 1 to {most}.")


def submit(fields: dict[str, Any], correlation_id: str = "", **job: Any) -> Generation:
    """A queued job with its Generation."""
    with transaction.atomic(savepoint=False):
        queued = jobs.submit(kind="generation", label=fields["prompt"][:100], correlation_id=correlation_id, **job)
        return Generation.objects.create(job=queued, **fields)


def again(*, generation: Generation) -> Generation:
    """The same pictures once more, seeds included, as a retry of a failed or cancelled job; those that were cancelled
    by themselves stay out."""
    bases.require_drawable(generation.base)
    require_lora(generation)
    if gone := inputs.lost(generation.tool, generation.inputs):
        raise Invalid("input_missing", f"{gone[0]} is gone. Choose another one and start again.")
    bases.require_space()
    fields = {name: getattr(generation, name) for name in COPIED} | {"struck": striking.kept_out(generation)}
    return submit(fields, correlation.current(), retry_of=generation.job)


def require_lora(generation: Generation) -> None:
    """Invalid: something that these pictures were asked with is gone."""
    if generation.lora is None and generation.lora_name:
        raise Invalid("lora_deleted", f"{generation.lora_name} was deleted. Choose another version and start again.")
    entries = [entry for variant in generation.variants for entry in variant.get("loras") or ()]
    for each in {entry["id"]: entry for entry in [*worn_by(generation), *entries]}.values():
        wearing.require_all([each], generation.base)


def worn_by(generation: Generation) -> list[dict[str, Any]]:
    """All that these pictures wear, the main LoRA first; `strength` as asked."""
    lora = generation.lora
    first = [wearing.entry(wearing.of_lora(lora), generation.params["lora_strength"])] if lora else []
    return [*first, *generation.more_loras]


def is_busy() -> bool:
    """Whether any request waits or draws."""
    return _live().exists()


def _live() -> JobQuerySet:
    return Job.objects.active().filter(kind="generation", cancel_requested_at=None)


def cancel_all() -> int:
    """Cancels every request that waits or draws; says how many. Finished pictures stay."""
    cancelled = 0
    for job in _live():
        # One that ended between the two statements needs no cancelling.
        with suppress(Conflict):
            jobs.request_cancel(job=job)
            cancelled += 1
    return cancelled
