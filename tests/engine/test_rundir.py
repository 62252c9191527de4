"""A run's folder: names, order by step, and files that are whole or not there."""

from pathlib import Path

import pytest

from isengard.engine import rundir


def test_states_are_ordered_by_step_not_by_name(tmp_path: Path) -> None:
    for step in (1_000_000, 200, 999_999):
        with rundir.replacing(rundir.state(tmp_path, step)) as part:
            part.write_bytes(b"state")
    assert [rundir.step_of(path) for path in rundir.states(tmp_path)] == [200, 999_999, 1_000_000]


def test_a_sample_name_tells_its_step(tmp_path: Path) -> None:
    assert rundir.step_of(rundir.sample(tmp_path, 250, 3)) == 250


def test_prune_keeps_the_newest(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        rundir.checkpoint(tmp_path, step).parent.mkdir(exist_ok=True)
        rundir.checkpoint(tmp_path, step).touch()
    gone = rundir.prune(rundir.checkpoints(tmp_path), keep=2)
    assert gone == [rundir.checkpoint(tmp_path, 1)] and len(rundir.checkpoints(tmp_path)) == 2


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    with rundir.replacing(tmp_path / "lora.safetensors") as part:
        part.write_bytes(b"half")
        assert not (tmp_path / "lora.safetensors").exists()
    assert (tmp_path / "lora.safetensors").read_bytes() == b"half"


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="disk"), rundir.replacing(path) as part:
        part.write_bytes(b"ne")
        raise ValueError("disk")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_sweep_removes_what_a_killed_attempt_left(tmp_path: Path) -> None:
    with rundir.replacing(rundir.checkpoint(tmp_path, 1)) as part:
        part.write_bytes(b"whole")
        left = part.with_name(part.name.replace(part.name[1:4], "999"))
        left.write_bytes(b"half")
    rundir.sweep(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [rundir.checkpoint(tmp_path, 1)]


def test_unfinished_files_are_no_checkpoints(tmp_path: Path) -> None:
    with rundir.replacing(rundir.checkpoint(tmp_path, 1)) as part:
        part.write_bytes(b"half")
        assert rundir.checkpoints(tmp_path) == []
