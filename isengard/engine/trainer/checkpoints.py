"""Saving a step: its LoRA, the state to go on from, and the room that others make for it (retention.py says which).

Knows the run directory's names; no loop, no Django."""

from pathlib import Path

from isengard.engine import retention, rundir
from isengard.engine.events import Event
from isengard.engine.specs import TrainSpec
from isengard.engine.trainer import export
from isengard.engine.trainer.state import TrainState


def save(spec: TrainSpec, state: TrainState, loss: float | None) -> Event:
    """The fields of the `checkpoint` event. `loss`: the mean of the last steps. EngineError weights_not_finite."""
    run, step = Path(spec.run_dir), state.step
    path, resumable = rundir.checkpoint(run, step), rundir.state(run, step)
    with state.average.worn():
        state.lora.save(path, export.provenance(spec, state.lora, step))
    if loss is not None:
        state.losses[step] = loss
    state.save(resumable)
    rundir.prune(rundir.states(run), keep=1)
    kept = [{"step": kept, "reason": reason} for kept, reason in make_room(run, state, spec).items()]
    size = path.stat().st_size
    return {"path": str(path), "step": step, "size_bytes": size, "state": str(resumable), "loss": loss, "kept": kept}


def make_room(run: Path, state: TrainState, spec: TrainSpec) -> dict[int, str]:
    """Deletes what the policy does not keep; step → reason of what is left."""
    files = {rundir.step_of(path): path for path in rundir.checkpoints(run)}
    losses = {step: state.losses.get(step) for step in files}
    kept = retention.keepers(losses, rundir.pinned(run), spec.params["max_checkpoints"])
    for step in set(files) - set(kept):
        files[step].unlink(missing_ok=True)
    return kept
