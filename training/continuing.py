"""Versions that begin from an earlier one: "train longer" goes on with steps and optimizer, others from the LoRA.

Plain values in, a queued run out."""

from typing import Any

from isengard.engine import catalog, parameters
from isengard.errors import Conflict, Invalid
from isengard.jobs.models import Job
from training import bases, carrying, freezing, loras, services, user_presets
from training.carrying import Beginning
from training.models import Lora, TrainingRun

# Each of them holds what those before it hold.
LAYERS = parameters.LORA_LAYERS.choices


def why_not_longer(run: TrainingRun) -> str:
    """Why a run cannot go on, in a sentence; empty when it can."""
    if run.job.state != Job.State.COMPLETED:
        return "Only a finished training can be trained longer. Resume this one, or start it again."
    lora = getattr(run, "lora", None)
    if lora is not None and lora.is_outdated:
        return f"It was trained on earlier weights of {catalog.get(run.base).label}. Start a new training instead."
    if carrying.state_of(run) is None:
        return "What it needs to go on was deleted with its LoRA or for a newer version. Start a new version instead."
    return ""


def shown(run: TrainingRun) -> dict[str, Any]:
    """For the page of a finished run: {why_not, state_bytes}, the second what is kept so that it can go on."""
    state = carrying.state_of(run)
    return {"why_not": why_not_longer(run), "state_bytes": state.stat().st_size if state else 0}


def train_longer(*, run: TrainingRun, steps: int, correlation_id: str = "") -> TrainingRun:
    """A new version: the same photos and settings, `steps` more than before, and the optimizer as it was left.

    Conflict: it did not finish, or its state is gone. Invalid: too few steps, or too many in all."""
    if reason := why_not_longer(run):
        raise Conflict("cannot_go_on", reason)
    if steps < 1:
        raise Invalid("bad_param", f"It must go on for at least 1 step, not {steps}.")
    bases.require_trainable(run.base)
    bases.require_space()
    names = ("character", "preset", "base", "trigger_word", "class_word", "warnings")
    draft = TrainingRun(params=_longer(run, steps), **{name: getattr(run, name) for name in names})
    return services.submit(
        draft,
        lambda job: [freezing.refreeze(photo, run.job, job) for photo in run.photos],
        label=f"Training {run.character.name}, {steps} steps longer",
        beginning=carrying.longer(run),
        correlation_id=correlation_id,
    )


def _longer(run: TrainingRun, steps: int) -> dict[str, Any]:
    """The parameters as the first run meant them (some may be younger than it), with more steps."""
    known = {param.name for param in catalog.training_params(run.base)}
    before = {name: value for name, value in parameters.BEFORE.items() if name in known}
    more = {"steps": int(run.params["steps"]) + steps, "steps_per_image": 0}
    return services.training_params(run.base, {**before, **run.params, **more})


def new_version(
    *,
    lora: Lora,
    preset: str = "",
    values: dict[str, Any],
    synthetic: bool = True,
    correlation_id: str = "",
) -> TrainingRun:
    """A training of the character's photos of now that begins with the weights of `lora` and counts its own steps.

    What is not said is as in the training that made it. Invalid: the LoRA does not fit the base, or holds more than the
    rank or the layers asked for. Otherwise as `services.start_training`."""
    loras.require_usable(lora, lora.base)
    values = values if preset else {**settings_of(lora), **values}
    _require_room(lora, {**user_presets.named(lora.base, preset, 0).values, **values})
    parent = lora.made_by
    return services.start_training(
        character=lora.character,
        preset=preset,
        base=lora.base,
        values=values,
        synthetic=synthetic,
        correlation_id=correlation_id,
        beginning=Beginning(TrainingRun.Start.WARM, parent=parent, lora=lora.file),
        differs=f"from v{lora.version}",
    )


def settings_of(lora: Lora) -> dict[str, Any]:
    """The parameters that made a LoRA, as far as they are known and still exist; those of an upload are its rank."""
    run = lora.made_by
    if run is None:
        return {"lora_rank": lora.rank} if lora.rank in parameters.LORA_RANK.choices else {}
    known = {param.name for param in catalog.training_params(lora.base)}
    return {name: value for name, value in run.params.items() if name in known}


def _require_room(lora: Lora, values: dict[str, Any]) -> None:
    rank = values.get("lora_rank")
    if isinstance(rank, int | str) and str(rank).isdecimal() and int(str(rank)[:9]) < lora.rank:
        raise Invalid("rank_too_small", f"{lora} has rank {lora.rank}; what begins from it needs at least that.")
    held, layers = settings_of(lora).get("lora_layers"), values.get("lora_layers")
    if held in LAYERS and layers in LAYERS and LAYERS.index(layers) < LAYERS.index(held):
        raise Invalid("layers_too_few", f"{lora} changes {held}, so what begins from it must change them, too.")
