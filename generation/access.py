"""One get-or-404 per noun of pictures, used by the pages and the API alike."""

from generation.models import Generation, Output
from isengard.errors import NotFound


def get_generation(job_id: str) -> Generation:
    found = Generation.objects.select_related("job", "character", "lora").filter(job__public_id=job_id).first()
    if found is None:
        raise NotFound("not_found", f"Generation job {job_id} not found")
    return found


def get_output(job_id: str, index: int) -> Output:
    found = (
        Output.objects.select_related("generation__job", "generation__character")
        .filter(generation__job__public_id=job_id, index=index)
        .first()
    )
    if found is None:
        raise NotFound("not_found", f"Picture {index} of {job_id} not found")
    return found
