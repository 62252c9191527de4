"""One get-or-404 per noun of captions, used by the pages and the API alike."""

from characters.models import CaptionVersion, DatasetTask
from isengard.errors import NotFound


def get_version(image_id: str, number: int) -> CaptionVersion:
    """An earlier text of one photo. NotFound: no such text; only the newest ones are kept."""
    versions = CaptionVersion.objects.select_related("image__character")
    found = versions.filter(image__public_id=image_id, image__deleted_at=None, pk=number).first()
    if found is None:
        raise NotFound("not_found", "That text is no longer kept. The newest 20 are.")
    return found


def get_task(job_id: str) -> DatasetTask:
    """A captioning job. NotFound: no such job."""
    tasks = DatasetTask.objects.select_related("character", "job")
    found = tasks.filter(job__public_id=job_id, kind="caption").first()
    if found is None:
        raise NotFound("not_found", f"Captions job {job_id} not found")
    return found
