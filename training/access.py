"""One get-or-404 per noun of training, used by the pages and the API alike."""

from isengard.errors import NotFound
from training.models import Checkpoint, Lora, LoraQuerySet, TrainingRun, TrainingSweep, UserPreset


def get_run(job_id: str) -> TrainingRun:
    found = (
        TrainingRun.objects.select_related("job__retry_of", "character", "lora", "parent__job")
        .filter(job__public_id=job_id)
        .first()
    )
    if found is None:
        raise NotFound("not_found", f"Training job {job_id} not found")
    return found


def get_checkpoint(job_id: str, step: int) -> Checkpoint:
    found = Checkpoint.objects.select_related("run__job", "run__character").filter(run__job__public_id=job_id)
    if (checkpoint := found.filter(step=step).first()) is None:
        raise NotFound("not_found", f"Training job {job_id} has no checkpoint at step {step}")
    return checkpoint


def loras() -> LoraQuerySet:
    """With what their names, pages and addresses need."""
    return Lora.objects.select_related("character", "run__job", "checkpoint__run__job")


def get_lora(lora_id: str) -> Lora:
    found = loras().filter(public_id=lora_id).first()
    if found is None:
        raise NotFound("not_found", f"LoRA {lora_id} not found")
    return found


def get_sweep(sweep_id: int) -> TrainingSweep:
    found = TrainingSweep.objects.select_related("character").filter(pk=sweep_id).first()
    if found is None:
        raise NotFound("not_found", f"There is no comparison {sweep_id}.")
    return found


def get_preset(preset_id: int) -> UserPreset:
    found = UserPreset.objects.filter(pk=preset_id).first()
    if found is None:
        raise NotFound("not_found", "This preset was deleted. Reload the page.")
    return found
