"""The identity test: does a LoRA of eight photos call its person by the trigger, and nobody else?

Trains held-out people by the default recipe (trial.py), lets the judges look at what is drawn with and without the
LoRA, and says which gates are kept. A stopped test goes on: every finished person is a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from isengard.engine.pocket import trial
from isengard.engine.pocket.card import Gate
from isengard.engine.pocket.judges import Judges, centre_of
from isengard.engine.pocket.portrait import render
from isengard.engine.pocket.trial import ROLES, SITUATIONS, Plan, who

GALLERY = 20  # how many people a picture may be taken for
FIRST, LEAK, OBEYED = 0.8, 0.35, 0.8
TRAINING_SECONDS, FOUR_SECONDS = 90.0, 6.0
ATTRIBUTES = ("background", "hat", "expression", "shirt")  # the last is for information
CENTRE = range(20, 36)  # renders that stand for a person; others (`REAL`) show what the embedder can do at best
REAL = range(40, 46)


@dataclass(frozen=True)
class Verdict:
    """What the judges say of one person. Movements are differences of cosines to the person's centre, LoRA against
    base, same prompt and seed, one row per role of ROLES."""

    first: np.ndarray  # (situations,) whether a trigger picture is nearest to its own person
    real: np.ndarray  # the same of renders
    moved: np.ndarray  # (roles, situations)
    obeyed: dict[str, np.ndarray]  # attribute → (2, asked) right with the LoRA and with the base
    seconds: tuple[float, float, float]  # training, its processor time, four pictures


def produce(plan: Plan, people: int, work: Path, processes: int) -> list[Path]:
    """One file per person, made where it is missing, in one-thread processes."""
    files = [work / plan.key / f"{index:02d}.npz" for index in range(people)]
    missing = [index for index, path in enumerate(files) if not path.is_file()]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(trial.run, plan, index, files[index]): index for index in missing}
        for done in as_completed(running):
            done.result()
            print(f"person {running[done]} is trained and drawn", flush=True)
    return files


def gallery(judges: Judges, people: int = GALLERY) -> Tensor:
    """(people, d): the centre of every person whom a picture may be taken for."""
    renders = partial(_renders, numbers=CENTRE)
    return torch.stack([centre_of(judges.embed(renders(index))) for index in range(people)])


def _renders(index: int, numbers: Sequence[int]) -> list[Image.Image]:
    return [render(who(index), trial.how(index, number), 64) for number in numbers]


def judge(judges: Judges, centres: Tensor, index: int, file: Path) -> Verdict:
    """Looks at one person's pictures."""
    with np.load(file) as kept:
        lora, base = kept["lora"], kept["base"]
        seconds = (float(kept["training"]), float(kept["cpu"]), float(kept["four"]))
    embedded = {name: _embed(judges, pictures) for name, pictures in {"lora": lora, "base": base}.items()}
    moved = (embedded["lora"] - embedded["base"]) @ centres[index]
    return Verdict(
        first=_nearest(embedded["lora"][0], centres, index), moved=moved.numpy(), seconds=seconds,
        real=_nearest(judges.embed(_renders(index, REAL)), centres, index), obeyed=_obeyed(judges, lora[0], base[0]),
    )  # fmt: skip


def _embed(judges: Judges, pictures: np.ndarray) -> Tensor:
    """(roles, situations, h, w, 3) → (roles, situations, d)."""
    rows = judges.embed(list(pictures.reshape(-1, *pictures.shape[2:])))
    return rows.reshape(*pictures.shape[:2], -1)


def _nearest(embeddings: Tensor, centres: Tensor, index: int) -> np.ndarray:
    found: np.ndarray = ((embeddings @ centres.T).argmax(1) == index).numpy()
    return found


def _obeyed(judges: Judges, lora: np.ndarray, base: np.ndarray) -> dict[str, np.ndarray]:
    """Attributes of the trigger's pictures; hats count where one is asked for."""
    seen = [judges.read(list(pictures)) for pictures in (lora, base)]
    found = {}
    for key in ATTRIBUTES:
        wanted = [getattr(each, key) for each in SITUATIONS[: len(lora)]]
        asked = [place for place, value in enumerate(wanted) if value != "none"]
        found[key] = np.array([[rows[place][key] == wanted[place] for place in asked] for rows in seen])
    return found


def gates(verdicts: Sequence[Verdict]) -> list[Gate]:
    """The promises of the identity test, over all pictures of all people."""
    first, real = (np.mean([getattr(v, name) for v in verdicts]) for name in ("first", "real"))
    note = f"{len(verdicts)} people, {sum(len(v.first) for v in verdicts)} pictures; real renders {real:.2f}"
    found = [Gate(f"identity: own person first of {GALLERY}", float(first), FIRST, note=note)]
    return [*found, *_leak_gates(verdicts), *_obeyed_gates(verdicts), *_speed_gates(verdicts)]


def _leak_gates(verdicts: Sequence[Verdict]) -> list[Gate]:
    each = np.array([v.moved.mean(1) for v in verdicts])  # people, roles
    moved, worst = each.mean(0), each / each[:, :1]
    words = {"class": '"a woman" or "a man", as the person', "other sex": "the other of the two"}
    words |= {"unknown": "a name that nobody has", "known": "a name that Pocket knows"}
    notes = {
        role: f"{move:+.3f} where the trigger moves {moved[0]:+.3f}; worst person {shares.max():.2f}, "
        f"{(shares > LEAK).sum()} of {len(shares)} beyond"
        for role, move, shares in zip(ROLES, moved, worst.T, strict=True)
    }
    return [
        Gate(f"leak: {words[role]}", float(move / moved[0]), LEAK, at_most=True, note=notes[role])
        for role, move in list(zip(ROLES, moved, strict=True))[1:]
    ]


def _obeyed_gates(verdicts: Sequence[Verdict]) -> list[Gate]:
    found = []
    for key in ATTRIBUTES:
        lora, base = np.concatenate([v.obeyed[key] for v in verdicts], axis=1).mean(1)
        promised = None if key == ATTRIBUTES[-1] else OBEYED
        ratio = float(lora / base) if base else float("nan")
        found.append(Gate(f"with the LoRA: {key} as asked", ratio, promised, note=f"{lora:.2f}, base {base:.2f}"))
    return found


def _speed_gates(verdicts: Sequence[Verdict]) -> list[Gate]:
    training, cpu, four = np.median([v.seconds for v in verdicts], axis=0)
    note = f"one thread; {cpu:.0f} s of processor time"
    return [
        Gate("default training with its previews, s", float(training), TRAINING_SECONDS, at_most=True, note=note),
        Gate("four pictures, warm, s", float(four), FOUR_SECONDS, at_most=True),
    ]


# The sheet

TILE, HEAD = 72, 16
#: heading, which pictures, which role, how many
COLUMNS = (
    ("photos", "photos", 0, 4), ("base: trigger", "base", 0, 2), ("LoRA: trigger", "lora", 0, 4),
    ("LoRA: a woman / a man", "lora", 1, 2), ("LoRA: unknown name", "lora", 3, 2),
)  # fmt: skip


def draw_sheet(files: Sequence[Path], out: Path) -> None:
    """One row per person: training photos, base, LoRA, leak test; the first situations, nothing chosen. 256 colours."""
    columns = sum(count for *_, count in COLUMNS)
    sheet = Image.new("RGB", (columns * TILE, HEAD + len(files) * TILE), "white")
    pen, left = ImageDraw.Draw(sheet), 0
    for heading, *_, count in COLUMNS:
        pen.text((left + 2, 2), heading, fill="black")
        left += count * TILE
    for row, file in enumerate(files):
        for column, picture in enumerate(_row(file)):
            tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (column * TILE, HEAD + row * TILE))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(256).save(out, optimize=True)


def _row(file: Path) -> list[np.ndarray]:
    with np.load(file) as kept:
        kinds = {name: kept[name] for name in ("photos", "base", "lora")}
    rows = [kinds[kind] if kind == "photos" else kinds[kind][role] for _, kind, role, _ in COLUMNS]
    return [picture for row, (*_, count) in zip(rows, COLUMNS, strict=True) for picture in row[:count]]
