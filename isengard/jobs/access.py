"""One get-or-404 for jobs and their files, used by the pages and the API alike."""

from isengard.errors import NotFound
from isengard.jobs.handlers import Artifact
from isengard.jobs.kinds import handler_for
from isengard.jobs.models import Job


def get_job(job_id: str) -> Job:
    job = Job.objects.select_related("retry_of").filter(public_id=job_id).first()
    if job is None:
        raise NotFound("not_found", f"Job {job_id} not found")
    return job


def get_artifact(job: Job, kind: str, name: str) -> Artifact:
    """A file of the job by type and name; the name is only ever compared, never made into a path."""
    for artifact in handler_for(job.kind).artifacts(job):
        if artifact["type"] == kind and artifact["name"] == name:
            return artifact
    raise NotFound("not_found", f"Job {job.public_id} has no {kind} of that name")
