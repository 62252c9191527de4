"""Measures the trainer on Pocket against a bare loop and, where its path is given, a public script: the cost of a step,
what the host waits for, the losses, the time to the first step. Nothing is estimated.

Steps are taken in turns, a few of each, and on a machine without a GPU ratios are of processor time: neither loop ever
waits there, and a busy machine then changes little. Prints nothing: `__main__` does."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from isengard.engine import bench
from isengard.engine.bench_bare import PARITY_STEPS, Bare, bare_steps, losses_apart, ours_steps
from isengard.engine.bench_launch import now
from isengard.engine.bench_script import Program, Script, arguments, pictures
from isengard.engine.bench_sync import reads_in, without_memory
from isengard.engine.trainer import loop

ROUNDS = 24
LEAD = 2
STEPS_A_TURN = 3
COUNTED_STEPS = 20
STARTS = 3
NOT_MEASURED = "not measured: no script was given"
HOW = "processor; {:.2f} by the clock; median of the rounds, in turns"
SCRIPT_ROWS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("step, script ÷ ours", (), 1.3),
    ("step, script with --gradient_checkpointing ÷ ours", ("--gradient_checkpointing",), 1.8),
)

# So many steps: seconds by the clock and of the processor.
Turn = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Row:
    """One line of the table. `target` is what it must be at most (`at_least`: at least); None: there is none.

    `value` None: it was not measured, and `how` says why. `sure`: no load changes it, so missing it is a defect."""

    name: str
    value: float | None
    unit: str
    how: str
    target: float | None = None
    at_least: bool = False
    sure: bool = False

    @property
    def met(self) -> bool | None:
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def cells(self) -> str:
        measured = "—" if self.value is None else f"{self.value:.3g} {self.unit}".strip()
        wanted = "" if self.target is None else f"{'≥' if self.at_least else '≤'} {self.target:g}"
        word = {None: "", True: "met", False: "missed"}[self.met]
        return f"| {self.name} | {measured} | {wanted} | {word} | {self.how} |"


@dataclass(frozen=True)
class Report:
    machine: str
    load: float
    rows: tuple[Row, ...]

    @property
    def sound(self) -> bool:
        """Whether everything holds that no busy machine can spoil."""
        return not any(row.sure and row.met is False for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        rows = [{**asdict(row), "met": row.met} for row in self.rows]
        return {"machine": self.machine, "load": self.load, "rows": rows}

    def table(self) -> str:
        head = f"{self.machine}\nLoad when it began: {self.load:.1f}"
        titles = "| what | measured | target | | how |\n|---|---|---|---|---|"
        return "\n".join([head, "", titles, *(row.cells() for row in self.rows)])


def measure(script: Program | None = None) -> Report:
    """All rows; some minutes on two cores, half of them for the script."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="isengard-bench-") as name:
        kit = bench.Kit(Path(name))
        rows = (*parity(kit), *host_reads(kit), *steps(kit, script), *first_steps(kit, script))
    return Report(bench.machine(), load, rows)


def training(kit: bench.Kit, name: str, sink: Any = bench.silent) -> loop.Training:
    """A training that is ready for its first step, at a constant rate (the bare loop knows no other)."""
    return loop.Training(kit.train(name, steps=5000, lr_schedule="constant"), sink, lambda: False)


def parity(kit: bench.Kit) -> Iterator[Row]:
    ours = training(kit, "parity")
    apart = losses_apart(ours, Bare(ours))
    how = f"largest difference over {PARITY_STEPS} steps, same weights, pictures and noise"
    yield Row("loss, ours against the bare loop", apart, "", how, target=1e-4, sure=True)


def host_reads(kit: bench.Kit) -> Iterator[Row]:
    """A plain script's one read a step stands beside ours, so that a count of none is no blindness of the counter."""
    ours = training(kit, "reads")
    with without_memory(ours):
        mine = len(reads_in(ours.step, COUNTED_STEPS)) / COUNTED_STEPS
        plain = len(reads_in(partial(_reading, ours), COUNTED_STEPS)) / COUNTED_STEPS
    how = f"over {COUNTED_STEPS} steps; {plain:g} where a script reads the loss of each"
    yield Row("times the host waits for the device in a step", mine, "", how, target=0, sure=True)


def _reading(ours: loop.Training) -> Any:
    loss = ours.step()
    loss.item()
    return loss


def steps(kit: bench.Kit, script: Program | None) -> Iterator[Row]:
    """Our loop in turns with the bare loop, then with the script (as it is, and with the flag that its instructions
    add). One pair after the other: a third that runs between would cool the caches of one of the two only."""
    with bench.pipe_sink() as sink:
        ours = training(kit, "ours", sink)
        mine: Turn = partial(_timed, partial(ours_steps, ours))
        yield from _own_rows(ours, in_turns(mine, partial(_timed, partial(bare_steps, Bare(ours))), ROUNDS))
        for name, flags, target in SCRIPT_ROWS:
            if script is None:
                yield Row(name, None, "×", NOT_MEASURED, target=target, at_least=True)
                continue
            with _started(script, kit, ours, flags) as running:
                running.first()
                took = in_turns(running.turn, mine, ROUNDS)
            yield Row(name, took.ratio(1), "×", HOW.format(took.ratio(0)), target=target, at_least=True)


def _started(script: Program | None, kit: bench.Kit, ours: loop.Training, flags: Sequence[str]) -> Script:
    assert script is not None
    folder = Path(tempfile.mkdtemp(prefix="script-", dir=kit.folder))
    return Script(script, arguments(ours, pictures(ours, folder / "photos"), folder, *flags), folder)


def _timed(work: Callable[[int], None], steps: int) -> tuple[float, float]:
    wall, busy = now()
    work(steps)
    ended = now()
    return ended[0] - wall, ended[1] - busy


@dataclass(frozen=True)
class Turns:
    """Of each round, (clock, processor) seconds of the one and of the other."""

    rounds: tuple[tuple[tuple[float, float], tuple[float, float]], ...]

    def ratio(self, kind: int) -> float:
        """One ÷ other, the median of the rounds; kind 0: by the clock, 1: of the processor."""
        return statistics.median(one[kind] / other[kind] for one, other in self.rounds)


def in_turns(one: Turn, other: Turn, rounds: int) -> Turns:
    """One round before is not kept. Each turn begins with steps that are not counted: whoever comes after another
    process finds the processor's caches full of that one's weights."""

    def taken(turn: Turn) -> tuple[float, float]:
        turn(LEAD)
        return turn(STEPS_A_TURN)

    return Turns(tuple((taken(one), taken(other)) for _ in range(rounds + 1))[1:])


def _own_rows(ours: loop.Training, took: Turns) -> Iterator[Row]:
    own = statistics.median(mine[1] for mine, _ in took.rounds) / STEPS_A_TURN * 1000
    size = f"batch {ours.params['batch_size']}, {ours.params['resolution']} px, rank {ours.lora.rank}, with captions"
    yield Row("our step", own, "ms", f"of processor; {size}; median of {ROUNDS} rounds of {STEPS_A_TURN} steps")
    yield Row("step, ours ÷ bare loop", took.ratio(1), "×", HOW.format(took.ratio(0)), target=1.03)


def first_steps(kit: bench.Kit, script: Program | None) -> Iterator[Row]:
    """To the first step: of an engine that has drawn a picture, of a fresh process, of the script's process. The photos
    are new to all three each time; ours checks the pipeline before, all but the baseline, which it draws after it."""
    warm, cold, theirs = [], [], []
    ours = training(kit, "for the script")
    for number in range(STARTS):
        warm.append(_first_step_warm(kit, _new_to_us(kit, f"warm-{number}")))
        cold.append(_first_step_cold(kit, _new_to_us(kit, f"cold-{number}")))
        if script:
            with _started(script, kit, ours, ()) as running:
                theirs.append(running.first())
    how = f"by the clock; photos encoded, five of the six checks included; median of {STARTS}"
    yield Row("first step, warm engine", statistics.median(warm), "s", how)
    yield Row("first step, new process", statistics.median(cold), "s", how)
    for name, own, target in (("warm", warm, 5.0), ("new process", cold, 1.2)):
        ratio = statistics.median(a / b for a, b in zip(theirs, own, strict=True)) if theirs else None
        words = f"its process to its first step ÷ ours; median of {STARTS}" if theirs else NOT_MEASURED
        yield Row(f"first step, script ÷ ours, {name}", ratio, "×", words, target=target, at_least=True)


def _new_to_us(kit: bench.Kit, name: str) -> dict[str, Any]:
    """A training that finds nothing in the cache."""
    return replace(kit.train(name), cache_dir=str(kit.folder / f"{name}-cache")).to_dict()


def _first_step_cold(kit: bench.Kit, spec: dict[str, Any]) -> float:
    path = kit.folder / "cold.json"
    path.write_text(json.dumps(spec))
    return bench.until(["train", str(path)], "metric")


def _first_step_warm(kit: bench.Kit, spec: dict[str, Any]) -> float:
    """From handing a training to an engine that has just drawn a picture. RuntimeError: it ended before."""
    command, pipe = [sys.executable, "-m", "isengard.engine", "serve"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            _ask(process, kit.generate(f"before-{spec['job']}", (1,)).to_dict(), "result")
            began = time.perf_counter()
            _ask(process, spec, "metric")
            return time.perf_counter() - began
        finally:
            process.kill()


def _ask(process: "subprocess.Popen[str]", spec: dict[str, Any], event: str) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps({"cmd": "run", "spec": spec}) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        found = json.loads(line)["type"]
        if found == event:
            return
        if found == "error":
            break
    raise RuntimeError(f"the engine ended without {event}")
