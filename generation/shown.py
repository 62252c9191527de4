"""Pictures as pages show them: tiles, previews while they are drawn, recipes in words. Decides nothing."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from generation import inputs, knobs
from generation.models import Generation, Output
from generation.wearing import Worn
from isengard import storage
from isengard.engine import catalog, tools
from isengard.engine.catalog import Base
from isengard.jobs import services as jobs
from training.models import Lora

AS_TRAINED = 1.0
# What one goes on with from a picture.
GOING_ON = tuple(tool for tool in tools.TOOLS.values() if any(one.name == "source" for one in tool.inputs))


def recent() -> QuerySet[Generation]:
    related = ("job", "character", "lora__character")
    return Generation.objects.select_related(*related).prefetch_related("outputs__generation__job").order_by("-job_id")


def cards(generations: Sequence[Generation]) -> list[dict[str, Any]]:
    reasons = jobs.queue_reasons([generation.job for generation in generations])
    return [_card(generation, reasons[generation.job_id]) for generation in generations]


def card(generation: Generation) -> dict[str, Any]:
    return cards([generation])[0]


def _card(generation: Generation, reason: str) -> dict[str, Any]:
    """One request with a tile per picture: the picture, else its preview, else its place."""
    made = {output.index: output for output in generation.outputs.all()}
    return {
        "generation": generation,
        "job": generation.job,
        "reason": reason,
        "tiles": [_tile(generation, made.get(index), index) for index in range(generation.count)],
        "recipe": recipe(generation),
        "tool": tools.get(generation.tool),
        "size": _size(generation),
        "going_on": GOING_ON,
    }


def _size(generation: Generation) -> tuple[int, int]:
    """Pixels of each picture, as far as they are known before it is drawn."""
    source = generation.inputs.get("source")
    return tools.result_size(
        generation.tool, _read_as(generation.base), generation.params, inputs.size_of(source) if source else None
    )


def _tile(generation: Generation, output: Output | None, index: int) -> dict[str, Any]:
    if output is not None:
        return {"output": output, "index": index, "seed": output.seed, "prompt": output.prompt or generation.prompt}
    if index in generation.struck:
        return {"struck": True, "index": index}
    if not generation.job.is_active:
        return {"missing": True, "index": index}
    return {"preview": _preview(generation, index), "index": index}


def _preview(generation: Generation, index: int) -> str:
    """The address of the picture as it stands, unique so that the browser asks again; "" when there is none."""
    name = f"preview-{index:02d}.jpg"
    path = storage.absolute(f"{storage.output_key(generation.job.public_id)}/{name}")
    if not path.is_file():
        return ""
    address = reverse("api-generation-preview", args=[generation.job.public_id, name])
    return f"{address}?at={path.stat().st_mtime_ns}"


def _read_as(base: str) -> Base:
    """A base to read a request's numbers by; another one where the studio no longer knows its own."""
    return catalog.BASES.get(base) or next(iter(catalog.BASES.values()))


def recipe(generation: Generation, index: int | None = None) -> list[tuple[str, str]]:
    """What made the pictures of a request, or one of them, in the order a person asks for it."""
    own = generation.variants[index] if index is not None and index < len(generation.variants) else {}
    params = {**generation.params, **(own.get("params") or {})}
    base = _read_as(generation.base)
    declared = knobs.declared(base, generation.tool, generation.inputs)
    rows = [
        ("Base model", base.label if base.key == generation.base else generation.base),
        ("Tool", tools.get(generation.tool).label),
    ]
    rows += _worn(generation, own.get("loras"))
    if styles := generation.written.get("styles"):
        rows.append(("Styles", ", ".join(styles)))
    for param in declared:
        value = params.get(param.name)
        shown = param.name not in {"seed", "count"} and value not in (None, "")
        if shown and (param.name != "lora_strength" or (generation.lora_name and "loras" not in own)):
            rows.append((param.label, f"{value:g}" if isinstance(value, float) else param.said(value)))
    return rows


def _worn(generation: Generation, own: list[dict[str, Any]] | None) -> list[tuple[str, str]]:
    """`own`: what one picture wears in place of its request's."""
    asked = generation.lora is not None or generation.lora_name
    first = [("Character", str(generation.lora or generation.lora_name))] if asked and own is None else []
    more = generation.more_loras if own is None else own
    return [*first, *((entry["name"], f"strength {entry['strength']:g}") for entry in more)]


def usual_strength(chosen: Worn | None, current: str) -> str:
    """What the form's strength becomes when this LoRA is chosen; empty where somebody typed a strength of their own."""
    try:
        typed = float(current)
    except ValueError:
        return ""
    usual = {AS_TRAINED, *Lora.objects.values_list("default_strength", flat=True).distinct()}
    return f"{chosen.usual:g}" if chosen and typed in usual and typed != chosen.usual else ""
