"""The form's values from what was drawn before: a request, one picture of it, or a picture of any program."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generation import inputs, shapes, wearing
from generation.composing import MAX_PROMPT, SEEDS
from generation.forms import CUSTOM, MORE_LORAS
from generation.given import Given
from generation.models import Generation
from generation.services import worn_by
from isengard.engine import catalog, recalled, samplers
from isengard.engine.catalog import Base
from isengard.engine.params import BadParam, Param
from isengard.engine.recalled import Facts, LoraSeen
from isengard.errors import Invalid
from training import bases
from training.models import Lora

# Axes of a grid that are ticked and not written.
SEVERAL = ("lora", "sampler")


@dataclass
class Recalled:
    """Values by the form's names, the base they are for, and sentences about what could not be taken over."""

    base: str
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    program: str = "Isengard"
    given: Given = field(default_factory=Given)


def of_request(generation: Generation) -> Recalled:
    """What the person asked for, choices and styles as they wrote them."""
    written, found = generation.written, _begun(generation)
    values = {
        **_frozen(generation, found.base),
        # Without styles, with the trigger word where it was put; with them, they are put around the words again.
        "prompt": written["prompt"] if written.get("styles") else generation.prompt,
        "styles": written.get("styles", []),
        "seeds": written.get("seeds", "increment"),
        **_rows(_kept(found, _asked(generation))),
        **_axes(found, generation),
    }
    if "negative_prompt" in generation.params and "negative_prompt" in written:
        values["negative_prompt"] = written["negative_prompt"]
    found.values = values
    return found


def of_picture(generation: Generation, index: int) -> Recalled:
    """Exactly one picture of a request: its own words, seed and LoRAs, without styles or choices to make."""
    found = _begun(generation)
    own = generation.variants[index] if index < len(generation.variants) else {}
    seed = generation.seeds[index] if index < generation.count else generation.params["seed"]
    worn = own.get("loras")
    values = {
        **_frozen(generation, found.base),
        **(own.get("params") or {}),
        "prompt": own.get("prompt") or generation.prompt,
        "seed": seed,
        **_rows(_kept(found, _asked(generation) if worn is None else worn)),
    }
    found.values = _shaped(catalog.get(found.base), values)
    return found


def _begun(generation: Generation) -> Recalled:
    """The base and the tool with its pictures, as far as they are still there; what is not is said."""
    found = Recalled(generation.base if generation.base in catalog.BASES else bases.default_key())
    if found.base != generation.base:
        found.notes.append(f"It was made with {generation.base}, which the studio no longer knows.")
    keys = {name: key for name, key in generation.inputs.items() if inputs.exists(key)}
    found.notes += [f"{what} is gone. Choose another one." for what in inputs.lost(generation.tool, generation.inputs)]
    found.given = Given(generation.tool, keys, generation.source)
    return found


def _asked(generation: Generation) -> list[dict[str, Any]]:
    """All that was to be worn; of a deleted main LoRA the request knows no more than its name."""
    gone = [{"id": "", "name": generation.lora_name}] if generation.lora is None and generation.lora_name else []
    return [*gone, *worn_by(generation)]


def _kept(found: Recalled, entries: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """What can still be worn, each in its place: the right face keeps its own where the left one's is gone."""
    kept = [entry if wearing.find(entry["id"]) else None for entry in entries]
    lost = [entry["name"] for entry, here in zip(entries, kept, strict=True) if here is None]
    found.notes += [f"{name} was deleted, so it is left out here. Choose another one." for name in lost]
    return kept


def _axes(found: Recalled, generation: Generation) -> dict[str, Any]:
    """The fields of a grid, as they were filled; without LoRAs that are gone."""
    values: dict[str, Any] = {}
    for axis in generation.axes:
        kind, told = axis["kind"], axis["values"]
        if kind == "lora":
            here = [key for key in told if not key or wearing.find(key)]
            gone = [name for key, name in zip(told, axis["labels"], strict=True) if key not in here]
            found.notes += [f"{name} was deleted, so the grid is without it." for name in gone]
            told = here
        values[f"grid_{kind}"] = told if kind in SEVERAL else ("\n" if kind == "prompt" else ", ").join(told)
    return values


def _frozen(generation: Generation, base: str) -> dict[str, Any]:
    params = {name: value for name, value in generation.params.items() if name not in ("seed", "lora_strength")}
    return _shaped(catalog.get(base), params) | {"count": 1}


def _shaped(base: Base, values: dict[str, Any]) -> dict[str, Any]:
    """With the shape and quality that the size means; the steps are said by number."""
    ratio, tier = shapes.found(base, values.get("width") or 0, values.get("height") or 0)
    return {**values, "shape": ratio or CUSTOM, "quality": tier}


def _rows(entries: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """The form's fields of what is worn, the first as its main one; None leaves its place empty."""
    values: dict[str, Any] = {"lora": None}
    if entries and entries[0]:
        values |= {"lora": entries[0]["id"], "lora_strength": entries[0]["strength"]}
    for number, entry in zip(MORE_LORAS, entries[1:], strict=False):
        if entry:
            values |= {f"lora_{number}": entry["id"], f"strength_{number}": entry["strength"]}
    return values


def of_file(path: Path, base: str) -> Recalled:
    """A picture of the studio or of another program, fitted to its base where that is known, else to `base`.

    Invalid: it carries no recipe."""
    facts = recalled.read(path)
    if facts is None:
        raise Invalid(
            "no_recipe",
            "This picture carries no recipe. Drop a picture as it was saved: a screenshot, or a picture that was sent "
            "through a messenger, has lost it.",
        )
    return fitted(facts, base)


def fitted(facts: Facts, base: str) -> Recalled:
    """The facts within what the base can do; whatever had to be changed or left out is said."""
    found = Recalled(facts.model if facts.model in catalog.BASES else base, program=facts.program)
    model = catalog.get(found.base)
    if facts.model and facts.model != found.base:
        found.notes.append(f"It was made with {facts.model}; with {model.label} the picture will be another one.")
    if len(facts.prompt) > MAX_PROMPT:
        found.notes.append(f"The prompt was cut to {MAX_PROMPT} characters.")
    found.values = {"prompt": facts.prompt[:MAX_PROMPT], "count": 1, "lora": None}
    _fit_numbers(found, facts, {param.name: param for param in catalog.generation_params(found.base)})
    _fit_sampler(found, facts.sampler, model)
    _fit_negative(found, facts, model)
    found.values |= _shaped(model, found.values)
    _fit_loras(found, facts.loras)
    return found


def _fit_numbers(found: Recalled, facts: Facts, params: dict[str, Param]) -> None:
    if facts.seed is not None and facts.seed < SEEDS:
        found.values["seed"] = facts.seed
    elif facts.seed is not None:
        found.notes.append(f"The seed {facts.seed} is larger than any seed here, so it was left out.")
    for name in ("steps", "guidance_scale", "width", "height"):
        value = getattr(facts, name)
        if value is not None and name in params:
            found.values[name] = _fit(found, params[name], value)


def _fit(found: Recalled, param: Param, value: float) -> Any:
    """The value, or the nearest that the base can do."""
    step = param.step if param.name in ("width", "height") and param.step else 0
    near = round(value / step) * step if step else value
    near = min(max(near, param.min if param.min is not None else near), param.max if param.max is not None else near)
    if near != value:
        found.notes.append(f"{param.label} was {value:g}; the nearest here is {near:g}.")
    try:
        return param.clean(near)
    except BadParam:
        return param.default


def _fit_sampler(found: Recalled, name: str, base: Base) -> None:
    """Nothing where the picture does not say, or says what the base does anyway."""
    key, same = samplers.nearest(name or samplers.EULER.key)
    if reason := samplers.why_not(key, base):
        found.notes.append(f"Its sampler {name} was left out. {reason}")
    elif key != samplers.EULER.key or not same:
        found.values["sampler"] = key
    if not same and not reason:
        found.notes.append(f"Its sampler was {name}; the nearest here is {samplers.get(key).label}.")


def _fit_negative(found: Recalled, facts: Facts, base: Base) -> None:
    if facts.negative_prompt and base.guidance == "true_cfg":
        found.values["negative_prompt"] = facts.negative_prompt[:1000]
    elif facts.negative_prompt:
        found.notes.append(f"Its negative prompt was left out: {base.label} cannot be told what to avoid.")


def _fit_loras(found: Recalled, seen: tuple[LoraSeen, ...]) -> None:
    entries = []
    for lora in seen:
        here = _lora_here(found.base, lora)
        if here is None:
            found.notes.append(f"The LoRA {lora.name} is not here, or is for another base, so it was left out.")
        else:
            strength = min(max(lora.strength, 0.0), wearing.STRONGEST)
            entries.append(wearing.entry(wearing.of_lora(here), strength))
    found.values |= _rows(entries[: len(MORE_LORAS) + 1])


def _lora_here(base: str, seen: LoraSeen) -> Lora | None:
    """By the digest of its file, else by the file's name."""
    fitting = Lora.objects.worn_by(base).select_related("character")
    if seen.sha256:
        return fitting.filter(sha256=seen.sha256).first()
    return next((lora for lora in fitting.filter(file__endswith=f"/{seen.name}.safetensors")), None)
