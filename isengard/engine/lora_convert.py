"""LoRA files from one key style into another: any that lora_keys reads → diffusers', and diffusers' → kohya's.

The weights mean exactly the same in each: fused layers are cut where their slices are independent, α is multiplied in
(ComfyUI and diffusers disagree about where to look for it), and a file is read whole or not at all. No torch."""

import hashlib
import json
import math
import re
import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from isengard.engine import lora_file, lora_header, lora_keys, lora_matrix, lora_shapes
from isengard.engine.errors import EngineError
from isengard.engine.lora_header import Header
from isengard.engine.lora_keys import Half, Named, Place
from isengard.engine.lora_matrix import Matrix
from isengard.engine.rundir import replacing

Style = Literal["diffusers", "kohya"]
Tensors = Iterator[tuple[str, Matrix]]


@dataclass(frozen=True)
class Pair:
    """What is added to a layer's weight: B · A, with A (rank, inputs) and B (outputs, rank)."""

    down: Matrix
    up: Matrix


def is_canonical(path: Path) -> bool:
    """Whether a file is already what `to_diffusers` would write: its names, no α to apply, nothing left out."""
    header = lora_header.read(path)
    known = lora_file.recognise(header)
    usual = {
        lora_keys.diffusers_key(layer.module, half)
        for layer in lora_file.layers(known, header.tensors)
        for half in ("A", "B")
    }
    return set(header.tensors) == usual and all(scale == 1 for scale in _scales(path, header, known).values())


def tensors(path: Path) -> Tensors:
    """The weights of any readable file under diffusers' names, layer by layer in the model's order, α multiplied in.

    EngineError as lora_file.inspect, and lora_not_finite: NaN or infinite numbers."""
    header = lora_header.read(path)
    known = lora_file.recognise(header)
    lora_file.layers(known, header.tensors)
    scales = _scales(path, header, known)
    for place in sorted(known.halves, key=lambda place: lora_keys.order(place.modules[0])):
        pair = _read(path, header, known.halves[place], scales[place])
        if place.modules == (lora_keys.SWAPPED,) and "final_layer" in known.halves[place]["B"]:
            pair = _swapped(pair)
        for module, part in _cut(place, pair):
            yield lora_keys.diffusers_key(module, "A"), part.down
            yield lora_keys.diffusers_key(module, "B"), part.up


def to_diffusers(path: Path, target: Path) -> None:
    """A file of any readable style as diffusers loads it, its texts kept. Errors as `tensors`."""
    texts = _without(lora_header.read(path).metadata, "lora_adapter_metadata")
    write(target, tensors(path), texts)


def to_kohya(path: Path, target: Path) -> None:
    """The same in the style of sd-scripts: BFL's layers, q, k and v fused, α = rank beside each pair."""
    texts = _without(lora_header.read(path).metadata, "lora_adapter_metadata")
    write(target, _kohya(path), {**texts, "ss_network_module": "networks.lora_flux"})


def _without(texts: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in texts.items() if key != name}


def _read(path: Path, header: Header, halves: dict[Half, str], scale: float) -> Pair:
    """Both matrices, finite before and after α is multiplied in.

    A power of two goes to A, so that fp16 keeps its small numbers and nothing is rounded twice."""
    down, up = (lora_matrix.read(path, header.tensors[halves[half]]) for half in ("A", "B"))
    if scale != 1:
        share = 2.0 ** (math.frexp(abs(scale))[1] // 2) if scale else 0.0
        down, up = lora_matrix.scaled(down, share), lora_matrix.scaled(up, scale / share if share else 0.0)
    for name, matrix in ((halves["A"], down), (halves["B"], up)):
        if not lora_matrix.is_finite(matrix):
            text = f"This LoRA holds values that are not numbers (in {name[:120]}). It is damaged; get the file again."
            raise EngineError("lora_not_finite", text)
    return Pair(down, up)


def _scales(path: Path, header: Header, known: Named) -> dict[Place, float]:
    """α / rank of each pair: from its tensor, else from diffusers' text in the header, else 1."""
    told = _adapter(header.metadata)
    found = {}
    for place, halves in known.halves.items():
        rank = header.tensors[halves["A"]].shape[0]
        if name := halves.get("alpha"):
            found[place] = float(lora_matrix.floats(lora_matrix.read(path, header.tensors[name])).flat[0]) / rank
        else:
            found[place] = _told_alpha(told, place.modules[0], rank) / (math.sqrt(rank) if _is_rs(told) else rank)
        if not math.isfinite(found[place]):
            raise EngineError("lora_not_finite", "This LoRA has an alpha that is not a number. Get the file again.")
    return found


def _adapter(texts: dict[str, str]) -> dict[str, Any]:
    """PEFT's configuration as diffusers keeps it in the header; empty where there is none."""
    try:
        data = json.loads(texts.get("lora_adapter_metadata", "{}"))
    except (ValueError, RecursionError):
        return {}
    return {name.removeprefix("transformer."): value for name, value in data.items()} if isinstance(data, dict) else {}


def _told_alpha(told: dict[str, Any], module: str, rank: int) -> float:
    patterns = told.get("alpha_pattern") or {}
    for name, alpha in patterns.items() if isinstance(patterns, dict) else ():
        # PEFT matches a pattern against the end of the layer's name; here it is taken as plain text.
        if re.fullmatch(rf"(?:.*\.)?{re.escape(name.lstrip('^'))}", module) and isinstance(alpha, int | float):
            return float(alpha)
    alpha = told.get("lora_alpha")
    return float(alpha) if isinstance(alpha, int | float) else math.sqrt(rank) if _is_rs(told) else float(rank)


def _is_rs(told: dict[str, Any]) -> bool:
    """Rank-stabilised LoRA divides α by the root of the rank."""
    return told.get("use_rslora") is True


def _swapped(pair: Pair) -> Pair:
    """Shift and scale of the last layer in the other naming system's order."""
    half = pair.up.shape[0] // 2
    return Pair(pair.down, lora_matrix.stacked([pair.up.rows(half, 2 * half), pair.up.rows(0, half)]))


def _cut(place: Place, pair: Pair) -> Iterator[tuple[str, Pair]]:
    """The slices of a fused layer, each with a pair of its own.

    A pair that was stacked from independent ones (zero outside the diagonal) is taken apart again, and slices that
    were never trained are left away; any other shares its A with every slice."""
    if len(place.modules) == 1:
        yield place.modules[0], pair
        return
    cut = lora_shapes.slices(place, pair.down.shape[1])
    bands = [pair.up.rows(sum(cut[:index]), sum(cut[: index + 1])) for index in range(len(cut))]
    blocks = _diagonal(bands, pair)
    for module, part in zip(place.modules, blocks or [Pair(pair.down, band) for band in bands], strict=True):
        if not (blocks and lora_matrix.is_zero(part.down) and lora_matrix.is_zero(part.up)):
            yield module, part


def _diagonal(bands: list[Matrix], pair: Pair) -> list[Pair]:
    """The independent pairs that a fused one was stacked from; none where it was trained as a whole."""
    count, whole = len(bands), pair.down.shape[0]
    if whole % count:
        return []
    rank = whole // count
    for index, band in enumerate(bands):
        begin, end = index * rank, (index + 1) * rank
        if not (lora_matrix.is_zero(band.columns(0, begin)) and lora_matrix.is_zero(band.columns(end, whole))):
            return []
    return [
        Pair(pair.down.rows(index * rank, (index + 1) * rank), band.columns(index * rank, (index + 1) * rank))
        for index, band in enumerate(bands)
    ]


def _kohya(path: Path) -> Tensors:
    for place, parts in _by_whole_layer(path):
        pair = _swapped(_fused(place, parts)) if place.modules == (lora_keys.SWAPPED,) else _fused(place, parts)
        yield lora_keys.kohya_key(place, "A"), pair.down
        yield lora_keys.kohya_key(place, "B"), pair.up
        yield lora_keys.kohya_key(place, "alpha"), lora_matrix.scalar(pair.down.shape[0])


def _by_whole_layer(path: Path) -> Iterator[tuple[Place, dict[str, Pair]]]:
    """The layers that make up one of BFL's together. Layers come in the model's order, so they are neighbours, but
    the last of a block may belong to an earlier one; so a block's are collected before they are given on."""
    waiting: dict[Place, dict[str, Pair]] = {}
    block: tuple[int, int] | None = None
    pairs = tensors(path)
    for (key, down), (_, up) in zip(pairs, pairs, strict=True):
        module = key.removeprefix("transformer.").removesuffix(".lora_A.weight")
        if lora_keys.order(module)[:2] != block:
            yield from waiting.items()
            waiting, block = {}, lora_keys.order(module)[:2]
        waiting.setdefault(lora_keys.whole(module), {})[module] = Pair(down, up)
    yield from waiting.items()


def _fused(place: Place, parts: dict[str, Pair]) -> Pair:
    """One pair that acts as these do: rank as theirs where they share their A, else the sum of equal shares."""
    present = list(parts.values())
    if len(place.modules) == 1:
        return present[0]
    if len(parts) == len(place.modules) and all(lora_matrix.is_same(present[0].down, part.down) for part in present):
        return Pair(present[0].down, lora_matrix.stacked([parts[module].up for module in place.modules]))
    inputs, dtype = present[0].down.shape[1], present[0].down.dtype
    rank = max(part.down.shape[0] for part in present)
    whole = [
        _padded(parts.get(module), rank, inputs, outputs, dtype)
        for module, outputs in zip(place.modules, lora_shapes.slices(place, inputs), strict=True)
    ]
    return Pair(lora_matrix.stacked([one.down for one in whole]), lora_matrix.diagonal([one.up for one in whole]))


def _padded(pair: Pair | None, rank: int, inputs: int, outputs: int, dtype: str) -> Pair:
    """The pair at a higher rank, or of zeros for a layer that was not trained."""
    if pair is None:
        return Pair(lora_matrix.zeros(rank, inputs, dtype), lora_matrix.zeros(outputs, rank, dtype))
    short = rank - pair.down.shape[0]
    if not short:
        return pair
    empty = lora_matrix.zeros(short, inputs, pair.down.dtype)
    return Pair(lora_matrix.stacked([pair.down, empty]), lora_matrix.wider(pair.up, short))


def write(target: Path, found: Iterable[tuple[str, Matrix]], texts: dict[str, str]) -> None:
    """A safetensors file, whole or not at all, one tensor in memory at a time; its texts get the tensors' digest."""
    with replacing(target) as part, part.with_suffix(".body").open("w+b") as body:
        try:
            entries, digest = _body(body, found)
            texts = {"format": "pt", **texts, "modelspec.hash_sha256": f"0x{digest}"}
            head = json.dumps({"__metadata__": texts, **entries}, separators=(",", ":")).encode()
            head += b" " * (-len(head) % 8)
            body.seek(0)
            with part.open("wb") as file:
                file.write(struct.pack("<Q", len(head)) + head)
                shutil.copyfileobj(body, file, 1 << 20)
        finally:
            Path(body.name).unlink(missing_ok=True)


def _body(body: Any, found: Iterable[tuple[str, Matrix]]) -> tuple[dict[str, Any], str]:
    """Writes the numbers one after the other; the header's entries and the digest of all of them."""
    entries, digest, end = dict[str, Any](), hashlib.sha256(), 0
    for name, matrix in found:
        data = matrix.bits.tobytes()
        body.write(data)
        digest.update(data)
        entries[name] = {"dtype": matrix.dtype, "shape": list(matrix.shape), "data_offsets": [end, end + len(data)]}
        end += len(data)
    return entries, digest.hexdigest()
