"""The gates' table of the model card, made from result files: nobody types a figure.

A result file is JSON with a list `gates`; every measurement writes one (`write_results`), the card shows them all.
Knows nothing of how anything was measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

START, END = "<!-- gates: written by `python -m isengard.engine.pocket card` -->", "<!-- end of gates -->"


@dataclass(frozen=True)
class Gate:
    """One promise: `measured` has to reach `bound`, or stay under it where `at_most` is set; no bound, no promise."""

    what: str
    measured: float
    bound: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Kept or missed, as measured and before any rounding; None where nothing was promised."""
        if self.bound is None:
            return None
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound


def write_results(path: Path, gates: Iterable[Gate], **details: Any) -> None:
    """JSON with the gates and whatever else was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"gates": [asdict(gate) for gate in gates], **details}, indent=1) + "\n")


def read_gates(paths: Iterable[Path]) -> list[Gate]:
    """Every gate of the files, in their order."""
    return [Gate(**row) for path in paths for row in json.loads(path.read_text())["gates"]]


def _row(gate: Gate) -> str:
    sign = "≤" if gate.at_most else "≥"
    bound = "" if gate.bound is None else f"{sign} {gate.bound:g}"
    verdict = {True: "passed", False: "**missed**", None: ""}[gate.passed]
    return f"| {gate.what} | {gate.measured:.3g} | {bound} | {verdict} | {gate.note} |"


def table(gates: Iterable[Gate]) -> str:
    """Markdown, one row per gate."""
    head = ["| gate | measured | promised | | |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(gate) for gate in gates)])


def write_card(card: Path, results: Iterable[Path]) -> None:
    """Replace what stands between START and END in `card`. Errors: ValueError where the card lacks the two lines."""
    before, _, rest = card.read_text().partition(START)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{card} has no lines {START!r} and {END!r}")
    card.write_text(f"{before}{START}\n{table(read_gates(results))}\n{END}{after}")
