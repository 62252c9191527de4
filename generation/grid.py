"""XYZ grids: one job that draws every combination of up to three axes, and the table of what came out.

An axis is a kind (checkpoint, strength, prompt, seed, steps, guidance, sampler) with values. Knows no request."""

import base64
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from generation import composing, services, wearing
from generation.models import Generation, Output
from generation.services import Asked
from isengard import storage
from isengard.engine import catalog, offers, samplers
from isengard.engine.errors import EngineError
from isengard.errors import Invalid
from training import bases

MOST_CELLS = 64
MOST_VALUES = 16
AXES = ("columns", "rows", "tables")
KINDS = {
    "lora": "LoRA or checkpoint",
    "strength": "Strength",
    "prompt": "Prompt",
    "replace": "Words of the prompt",
    "seed": "Seed",
    "steps": "Steps",
    "guidance_scale": "Guidance",
    "sampler": "Sampler",
}
NUMBERS = {"strength": float, "seed": int, "steps": int, "guidance_scale": float}
# Of a picture inside the self-contained page.
EMBEDDED_SIDE, EMBEDDED_QUALITY = 768, 85
# Axes that are knobs of a picture.
KNOBS = ("steps", "guidance_scale", "sampler")


@dataclass(frozen=True)
class Axis:
    """`values` as a person wrote them; of `lora` they are keys (generation.wearing)."""

    kind: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table of a grid: its title (of the third axis), and rows of a label with a cell for each column."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[dict[str, Any]]]]


def start_grid(*, axes: Sequence[Axis], correlation_id: str = "", **asked: Any) -> Generation:
    """A queued job with a picture for every combination. The other words and numbers are those of `Asked`.

    Invalid: no axis, one kind twice, too many cells, or a value that cannot be used (as `start_generation`)."""
    _require_axes(axes)
    whole = Asked(**{**asked, "count": 1, "seeds": "increment"})
    fields = services.prepared(whole)
    cells = [_cell(axes, values, whole, fields) for values in itertools.product(*(axis.values for axis in axes))]
    named = [{"kind": axis.kind, "values": list(axis.values), "labels": _labels(axis)} for axis in axes]
    return services.submit({**fields, "variants": cells, "count": len(cells), "axes": named}, correlation_id)


def _require_axes(axes: Sequence[Axis]) -> None:
    if not axes:
        raise Invalid("bad_grid", "Say what the grid is to compare: strengths, prompts, seeds, steps or another field.")
    if len(axes) > len(AXES):
        raise Invalid("bad_grid", f"A grid compares at most {len(AXES)} things at once, not {len(axes)}.")
    kinds = [axis.kind for axis in axes]
    for kind in kinds:
        if kind not in KINDS or kinds.count(kind) > 1:
            raise Invalid("bad_grid", f"{KINDS.get(kind, kind)!r} cannot be an axis, or is one already.")
    sizes = [len(axis.values) for axis in axes]
    cells = sizes[0] * (sizes[1] if len(sizes) > 1 else 1) * (sizes[2] if len(sizes) > 2 else 1)
    if 0 in sizes or max(sizes) > MOST_VALUES:
        raise Invalid("bad_grid", f"Give every axis one to {MOST_VALUES} values.")
    for axis in axes:
        _require_different(axis)
    if cells > MOST_CELLS:
        raise Invalid("bad_grid", f"That makes {cells} pictures; a grid has at most {MOST_CELLS}.")


def _require_different(axis: Axis) -> None:
    """Invalid: two values would draw the same pictures, or the words to replace are none."""
    values = [value.strip() for value in axis.values]
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise Invalid("bad_grid", f"{KINDS[axis.kind]}: {twice[:40]!r} stands there twice.")
    if axis.kind == "replace" and not values[0]:
        raise Invalid("bad_grid", "Say first which words of the prompt are to be replaced.")


def _labels(axis: Axis) -> list[str]:
    if axis.kind == "lora":
        return [wearing.get(value).name if value else "nobody" for value in axis.values]
    if axis.kind == "sampler":
        return [_sampler(value).label for value in axis.values]
    return [value.strip() for value in axis.values]


def _cell(axes: Sequence[Axis], values: Sequence[str], asked: Asked, fields: dict[str, Any]) -> dict[str, Any]:
    """What one picture has of its own: its seed always, the rest where an axis says so."""
    given = {axis.kind: _value(axis.kind, value) for axis, value in zip(axes, values, strict=True)}
    worn = _worn(given, asked, fields)
    seed = given.get("seed", fields["params"]["seed"])
    cell: dict[str, Any] = {"seed": seed, "prompt": _prompt(axes, given, asked, worn, seed)}
    if "lora" in given or "strength" in given:
        wearing.require_all(worn, fields["base"])
        cell["loras"] = worn
    if params := _params(given, fields["base"]):
        cell["params"] = params
    return cell


def _sampler(name: str) -> samplers.Sampler:
    """Invalid: no such sampler."""
    try:
        return samplers.get(name.strip())
    except EngineError as error:
        raise Invalid("bad_grid", error.message) from error


def _value(kind: str, text: str) -> Any:
    if kind not in NUMBERS:
        return text.strip()
    try:
        number = NUMBERS[kind](text.strip().replace(",", "."))
    except ValueError:
        raise Invalid("bad_grid", f"{KINDS[kind]}: {text!r} is no number.") from None
    if kind == "seed" and not 0 <= number < composing.SEEDS:
        raise Invalid("bad_grid", f"Seed: {text} is not from 0 to {composing.SEEDS - 1}.")
    return number


def _worn(given: dict[str, Any], asked: Asked, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The cell's LoRAs: the first is the axis's or the request's, in the axis's strength or its own."""
    entries = _of_request(fields)
    if "lora" in given:
        first = [wearing.entry(wearing.get(given["lora"]), asked.strength)] if given["lora"] else []
        entries = [*first, *entries[1:]]
    if "strength" in given and not entries:
        raise Invalid("bad_grid", "Without a LoRA its strength changes nothing. Choose a character or another axis.")
    if "strength" in given:
        entries = [{**entries[0], "strength": given["strength"]}, *entries[1:]]
    return entries


def _of_request(fields: dict[str, Any]) -> list[dict[str, Any]]:
    lora = fields["lora"]
    first = [wearing.entry(wearing.of_lora(lora), fields["params"]["lora_strength"])] if lora else []
    return [*first, *fields["more_loras"]]


def _prompt(
    axes: Sequence[Axis], given: dict[str, Any], asked: Asked, worn: Sequence[dict[str, Any]], seed: int
) -> str:
    """The cell's words: the axis's prompt, or the request's with the axis's first words replaced by its others."""
    text = given.get("prompt") or asked.prompt
    if "replace" in given:
        sought = next(axis.values[0].strip() for axis in axes if axis.kind == "replace")
        if sought not in text:
            raise Invalid("bad_grid", f"The prompt does not say {sought!r}, so there is nothing to replace.")
        text = text.replace(sought, given["replace"])
    triggers = [wearing.get(entry["id"]).trigger for entry in worn]
    written = composing.Written(text, list(asked.styles))
    return composing.chosen_words(composing.worded(written, triggers), triggers, f"{seed}:0")


def _params(given: dict[str, Any], base: str) -> dict[str, Any]:
    """Invalid: out of range, or the base has no such knob."""
    values: dict[str, Any] = {name: given[name] for name in KNOBS if name in given}
    known = tuple(param for param in catalog.generation_params(base) if param.name in KNOBS)
    cleaned = bases.clean(known, values, offers.unwired_drawing(base))
    return {name: cleaned[str(name)] for name in values}


def ordered(generation: Generation, word: str) -> tuple[int, ...]:
    """Which axis is shown as columns, rows and tables, from digits like "10"; the grid's own order where they do not
    say each axis once."""
    own = tuple(range(len(generation.axes)))
    said = tuple(int(digit) for digit in word if digit in "012")
    return said if sorted(said) == list(own) else own


def swaps(order: Sequence[int]) -> list[tuple[str, str]]:
    """What a person may exchange, in words, with the digits of the order that it leads to."""
    found = []
    for at, (one, other) in enumerate(itertools.pairwise(AXES[: len(order)])):
        swapped = [*order[:at], order[at + 1], order[at], *order[at + 2 :]]
        found.append((f"Swap {one} and {other}", "".join(map(str, swapped))))
    return found


def tables(generation: Generation, order: Sequence[int] = ()) -> list[Table]:
    """The grid as it is now, its axes in this order (see `ordered`): a cell holds its picture, or None where it is not
    drawn (yet)."""
    order = order or range(len(generation.axes))
    drawn = [axis["labels"] for axis in generation.axes]
    labels = [drawn[axis] for axis in order]
    columns, rows, titles = (labels[at] if at < len(labels) else [""] for at in range(len(AXES)))
    made = {output.index: output for output in generation.outputs.all() if output.deleted_at is None}
    # Combinations count the last axis fastest.
    places = itertools.product(*(range(len(label)) for label in drawn))
    at = {tuple(place[axis] for axis in order): number for number, place in enumerate(places)}

    def cell(column: int, row: int, table: int) -> dict[str, Any]:
        index = at[(column, row, table)[: len(labels)]]
        struck = index in generation.struck
        return {"index": index, "output": made.get(index), "seed": generation.seeds[index], "struck": struck}

    return [
        Table(
            title,
            columns,
            [(label, [cell(column, row, table) for column in range(len(columns))]) for row, label in enumerate(rows)],
        )
        for table, title in enumerate(titles)
    ]


def axis_names(generation: Generation, order: Sequence[int] = ()) -> list[tuple[str, str]]:
    """Which kind each of columns, rows and tables shows."""
    kinds = [generation.axes[axis]["kind"] for axis in order or range(len(generation.axes))]
    return [(place, KINDS[kind]) for place, kind in zip(AXES, kinds, strict=False)]


def embedded(output: Output) -> str:
    """The picture as a data address, for a page that needs no server; "" where its file is gone."""
    path = storage.absolute(output.file)
    if not path.is_file():
        return ""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((EMBEDDED_SIDE, EMBEDDED_SIDE))
        image.convert("RGB").save(buffer, "WEBP", quality=EMBEDDED_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def facts(generation: Generation) -> str:
    """Everything that made the grid, as JSON text for the self-contained page."""
    known = {"prompt": generation.prompt, "base_model": generation.base, "params": generation.params}
    return json.dumps({**known, "axes": generation.axes, "cells": generation.variants}, indent=1, ensure_ascii=False)
