"""One get-or-404 per noun of training, used by the pages and the API alike."""

from isengard.errors import NotFound
from training.models import Lora, TrainingRun


def get_run(job_id: str) -> TrainingRun:
    found = TrainingRun.objects.select_related("job", "character", "lora").filter(job__public_id=job_id).first()
    if found is None:
        raise NotFound("not_found", f"Training job {job_id} not found")
    return found


def get_lora(lora_id: str) -> Lora:
    found = Lora.objects.select_related("character", "run__job").filter(public_id=lora_id).first()
    if found is None:
        raise NotFound("not_found", f"LoRA {lora_id} not found")
    return found
