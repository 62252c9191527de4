"""A job's progress in the words of API clients."""

from isengard.jobs.models import Job
from training import progress

FIELDS = {"job_id", "job_type", "status", "progress", "message", "current_step", "total_steps", "preview_url", "error"}


def job(**fields: object) -> Job:
    return Job(public_id="gen-0", kind="generation", state="running", step=3, total=4, **fields)


def test_every_field_is_there() -> None:
    assert set(progress.shape(job(), None)) == FIELDS | {"timestamp"}


def test_numbers_and_type_are_those_of_the_job() -> None:
    told = progress.shape(job(stage="denoising"), None)
    assert (told["job_type"], told["progress"], told["message"]) == ("image_generation", 75.0, "denoising")


def test_the_first_event_of_a_silent_job_says_connected() -> None:
    assert progress.shape(job(), None)["message"] == "connected"


def test_a_preview_gives_its_address_along() -> None:
    pushed = {"type": "preview", "payload": {"url": "/x.jpg"}}
    assert progress.shape(job(), pushed)["preview_url"] == "/x.jpg"


def test_a_failure_says_why() -> None:
    assert progress.shape(job(error_message="Lower the resolution."), None)["error"] == "Lower the resolution."


def test_an_ended_job_no_longer_says_what_it_was_doing() -> None:
    done = Job(public_id="gen-0", kind="generation", state="completed", message="Drawing")
    assert (progress.words(done), progress.shape(done, {})["message"]) == ("", "completed")
