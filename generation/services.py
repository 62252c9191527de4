"""What people do with pictures: ask for them, delete them. Plain values in, rows out; knows no request."""

import secrets
from typing import Any

from django.db import transaction

from characters.captions.text import PLACEHOLDER
from characters.models import Character
from generation.models import Generation, Output
from isengard import storage
from isengard.engine import catalog, offers
from isengard.engine.catalog import Base
from isengard.errors import Invalid
from isengard.jobs import services as jobs
from isengard.logs import correlation
from training import bases
from training.loras import require_usable
from training.models import Lora
from training.prompts import insert_trigger

MAX_PROMPT = 2000
MAX_COUNT = 8
SEEDS = 2**31
UNWIRED = {name: reason for name, (_, reason) in offers.TOGGLES.items()}


def start_generation(
    *,
    prompt: str,
    character: Character | None = None,
    lora: Lora | None = None,
    base: str = "",
    values: dict[str, Any] | None = None,
    count: int = 1,
    seed: int | None = None,
    strength: float | None = None,
    correlation_id: str = "",
) -> Generation:
    """Queued pictures of one prompt, seed, seed + 1 and so on. A character without `lora` means its active LoRA.

    Invalid: an empty prompt, an impossible value, an untrained character, a LoRA for another base or without file.
    Unavailable: the base model is not on disk, or the disk is full."""
    lora = lora or (active_lora(character) if character else None)
    key = base or (lora.base if lora else bases.default_key())
    model = bases.find(key)
    _require_prompt(prompt)
    _require_count(count)
    if lora is not None:
        require_usable(lora, key)
        strength = lora.default_strength if strength is None else strength
    params = _params(model, {**(values or {}), "seed": seed, "lora_strength": strength})
    bases.require_drawable(key)
    bases.require_space()
    return _submit(
        character=character or (lora.character if lora else None),
        lora=lora,
        lora_name=f"{lora} ({lora.public_id})" if lora else "",
        base=key,
        prompt=_final_prompt(prompt, lora),
        count=count,
        params=params,
        correlation_id=correlation_id,
    )


def active_lora(character: Character) -> Lora:
    found = Lora.objects.active().filter(character=character).first()
    if found is None:
        raise Invalid(
            "not_trained", f"Character {character.public_id} has not been trained yet. Train {character.name} first."
        )
    return found


def _require_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise Invalid("no_prompt", "The prompt is empty. Describe the picture in a few words.")
    if len(prompt) > MAX_PROMPT:
        raise Invalid("long_prompt", f"The prompt has {len(prompt)} characters; at most {MAX_PROMPT} are allowed.")


def _require_count(count: int) -> None:
    if not 1 <= count <= MAX_COUNT:
        raise Invalid("bad_param", f"count is {count}, but must be from 1 to {MAX_COUNT}.")


def _final_prompt(prompt: str, lora: Lora | None) -> str:
    if lora is not None:
        return insert_trigger(prompt, lora.trigger_word)
    if PLACEHOLDER in prompt:
        raise Invalid(
            "no_trigger", f"The prompt says {PLACEHOLDER}, but no character is chosen. Choose one or remove it."
        )
    return prompt.strip()


def _params(base: Base, values: dict[str, Any]) -> dict[str, Any]:
    """Every parameter, validated, with a real number as its seed."""
    given = {name: value for name, value in values.items() if value is not None and not _is_off(name, value)}
    known = tuple(param for param in catalog.generation_params(base.key) if param.name != "count")
    params = bases.clean(known, given, UNWIRED)
    for side in ("width", "height"):
        _require_size(base, side, params[side])
    if params["seed"] is None:
        params["seed"] = secrets.randbelow(SEEDS)
    return params


def _is_off(name: str, value: Any) -> bool:
    """A feature that we do not have, asked for as off, or an empty text: fine everywhere."""
    return (name in UNWIRED and value is False) or value == ""


def _require_size(base: Base, side: str, pixels: int) -> None:
    """Other sizes would be cut silently to what the latents can hold."""
    if pixels % base.multiple:
        below = pixels - pixels % base.multiple
        near = f"{below} or {below + base.multiple}"
        raise Invalid("bad_param", f"{side} is {pixels}, but must be a multiple of {base.multiple}: {near}.")


def _submit(*, prompt: str, correlation_id: str, **fields: Any) -> Generation:
    with transaction.atomic():
        job = jobs.submit(kind="generation", label=prompt[:100], correlation_id=correlation_id)
        return Generation.objects.create(job=job, prompt=prompt, **fields)


def again(*, generation: Generation) -> Generation:
    """The same pictures once more, seeds included, as a retry of a failed or cancelled job."""
    require_lora(generation)
    bases.require_drawable(generation.base)
    bases.require_space()
    old = generation.job
    with transaction.atomic():
        job = jobs.submit(kind="generation", label=old.label, correlation_id=correlation.current(), retry_of=old)
        return Generation.objects.create(
            job=job,
            character=generation.character,
            lora=generation.lora,
            lora_name=generation.lora_name,
            base=generation.base,
            prompt=generation.prompt,
            count=generation.count,
            params=generation.params,
        )


def require_lora(generation: Generation) -> None:
    """Invalid: the LoRA that these pictures were asked with is gone."""
    if generation.lora is not None:
        require_usable(generation.lora, generation.base)
    elif generation.lora_name:
        raise Invalid("lora_deleted", f"{generation.lora_name} was deleted. Choose another version and start again.")


def delete_output(*, output: Output) -> None:
    delete_outputs(outputs=[output])


def delete_outputs(*, outputs: list[Output]) -> int:
    """Deletes pictures, rows first and files once that is sure; returns how many."""
    keys = {key for output in outputs for key in (output.file, output.thumb)}
    with transaction.atomic():
        Output.objects.filter(pk__in=[output.pk for output in outputs]).delete()
        transaction.on_commit(lambda: _remove_files(keys))
    return len(outputs)


def _remove_files(keys: set[str]) -> None:
    for key in keys:
        storage.remove(key)
