"""What the trainer's bench says of a target, and that somebody else's script is taken through its steps on demand."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

SCRIPT = """
import torch
weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([weight], 0.1)
for step in range({steps}):
    print("a word of its own", flush=True)
    optimizer.step()
raise SystemExit("nothing left to do")
"""


def script(folder: Path, steps: int) -> Any:
    from isengard.engine.bench_script import Program, Script

    path = folder / "script.py"
    path.write_text(SCRIPT.format(steps=steps))
    return Script(Program(path), [], folder)


def test_a_script_is_held_after_its_first_step_and_goes_on_for_a_turn(tmp_path: Path) -> None:
    with script(tmp_path, steps=10) as running:
        started = running.first()
        wall, busy = running.turn(4)
    assert started > wall > 0 and busy >= 0


def test_a_script_that_ends_too_soon_is_told_with_its_last_word(tmp_path: Path) -> None:
    from isengard.engine.bench_script import ScriptFailed

    with script(tmp_path, steps=2) as running:
        running.first()
        with pytest.raises(ScriptFailed, match="nothing left to do"):
            running.turn(4)


@pytest.mark.parametrize(("value", "at_least", "met"), [(1.0, False, True), (1.0, True, False), (None, True, None)])
def test_a_row_knows_whether_its_target_is_met(value: float | None, at_least: bool, met: bool | None) -> None:
    from isengard.engine.bench_train import Row

    assert Row("step", value, "×", "in turns", target=1.03, at_least=at_least).met is met


def test_only_what_no_load_can_spoil_makes_the_report_unsound() -> None:
    from isengard.engine.bench_train import Report, Row

    slow = Row("step", 2.0, "×", "in turns", target=1.03)
    wrong = Row("loss", 1.0, "", "apart", target=1e-4, sure=True)
    assert Report("a machine", 0.5, (slow,)).sound
    assert not Report("a machine", 0.5, (slow, wrong)).sound


def test_the_table_says_what_was_missed_and_what_was_not_measured() -> None:
    from isengard.engine.bench_train import NOT_MEASURED, Report, Row

    rows = (Row("step", 2.0, "×", "in turns", target=1.03), Row("script", None, "×", NOT_MEASURED, target=1.3))
    table = Report("a machine", 0.5, rows).table()
    assert "| step | 2 × | ≤ 1.03 | missed | in turns |" in table
    assert "| script | — | ≤ 1.3 |  | not measured: no script was given |" in table
