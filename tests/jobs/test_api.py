"""The JSON API of jobs, over HTTP."""

import io
import zipfile
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from isengard import storage
from isengard.jobs import events, runner, services
from isengard.jobs.host import EngineHost
from isengard.jobs.joblog import JobLog
from isengard.jobs.models import Job
from tests.jobs import scripted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("artifact_table", "bells")]


@pytest.fixture
def job(volume: Path) -> Job:
    return scripted.submit()


@pytest.fixture
def done(volume: Path, host: EngineHost) -> Job:
    """A job that ran: four steps, samples at 2 and 4, checkpoints at 2 and 4."""
    job = scripted.submit(steps=4, samples=2, checkpoints=2)
    runner.run_lane("gpu", "test/0", host)
    job.refresh_from_db()
    return job


def test_the_list_pages_by_key_from_the_newest(api: APIClient) -> None:
    ids = [scripted.submit().public_id for _ in range(3)]
    first = api.get("/api/jobs?limit=2").json()
    second = api.get(f"/api/jobs?limit=2&before={first['next']}").json()
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["next"] is None


def test_the_list_filters_by_state(api: APIClient, job: Job) -> None:
    services.request_cancel(job=scripted.submit())
    assert [one["job_id"] for one in api.get("/api/jobs?status=queued,running").json()["jobs"]] == [job.public_id]


def test_a_limit_out_of_range_is_refused(api: APIClient) -> None:
    assert api.get("/api/jobs?limit=0").status_code == 422


def test_a_waiting_job_says_why_it_waits(api: APIClient, job: Job) -> None:
    answer = api.get(f"/api/jobs/{job.public_id}").json()
    assert (answer["status"], answer["queue_position"]) == ("queued", 1)
    assert "No worker" in answer["queue_reason"]


def test_an_unchanged_job_answers_304(api: APIClient, done: Job) -> None:
    tag = api.get(f"/api/jobs/{done.public_id}").headers["ETag"]
    assert api.get(f"/api/jobs/{done.public_id}", HTTP_IF_NONE_MATCH=tag).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["", "/events", "/stream", "/logs", "/logs/view", "/artifacts", "/checkpoints", "/summary", "/debug-bundle"],
)
def test_an_unknown_job_is_a_404_in_json(api: APIClient, path: str) -> None:
    answer = api.get(f"/api/jobs/train-000000000000{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_events_come_after_a_seq_and_say_whether_there_are_more(api: APIClient, job: Job) -> None:
    for number in range(4):
        events.append(job, "log", {"number": number})
    answer = api.get(f"/api/jobs/{job.public_id}/events?after=1&limit=2").json()
    assert [event["seq"] for event in answer["events"]] == [2, 3]
    assert (answer["last_seq"], answer["has_more"]) == (5, True)


def test_a_second_cancel_of_an_ended_job_is_refused_with_a_sentence(api: APIClient, job: Job) -> None:
    assert api.post(f"/api/jobs/{job.public_id}/cancel").json()["status"] == "cancelled"
    answer = api.post(f"/api/jobs/{job.public_id}/cancel")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Cannot cancel job in cancelled state")


def test_a_retry_answers_with_the_new_job(api: APIClient, job: Job) -> None:
    services.request_cancel(job=job)
    answer = api.post(f"/api/jobs/{job.public_id}/retry")
    assert (answer.status_code, answer.json()["retry_of"]) == (201, job.public_id)


def test_artifacts_are_listed_without_any_path_of_the_machine(api: APIClient, done: Job) -> None:
    answer = api.get(f"/api/jobs/{done.public_id}/artifacts")
    assert [one["type"] for one in answer.json()["artifacts"]].count("sample") == 2
    assert str(storage.absolute("runs").parent) not in answer.content.decode()


def test_every_listed_file_can_be_fetched(api: APIClient, done: Job) -> None:
    listed = api.get(f"/api/jobs/{done.public_id}/artifacts").json()["artifacts"]
    assert {api.get(one["url"]).status_code for one in listed} == {200}


@pytest.mark.parametrize("name", ["..%2f..%2fsecret-key", "%2e%2e", "000002.safetensors", "x.png"])
def test_a_name_that_is_no_sample_is_not_found(api: APIClient, done: Job, name: str) -> None:
    assert api.get(f"/api/jobs/{done.public_id}/artifacts/samples/{name}").status_code == 404


def test_a_checkpoint_downloads_as_a_file(api: APIClient, done: Job) -> None:
    one = api.get(f"/api/jobs/{done.public_id}/checkpoints").json()["checkpoints"][0]
    answer = api.get(one["url"])
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{done.public_id}-{one["name"]}"'


def test_the_log_filters_before_it_pages(api: APIClient, job: Job) -> None:
    log = JobLog(job)
    for number in range(30):
        log.write("INFO" if number % 3 else "ERROR", "training.step", f"line {number}")
    answer = api.get(f"/api/jobs/{job.public_id}/logs/view?level=error&offset=8&limit=5").json()
    assert (answer["total_lines"], len(answer["entries"]), answer["has_more"]) == (10, 2, False)


def test_the_newest_line_can_come_first(api: APIClient, job: Job) -> None:
    for word in ("one", "two"):
        JobLog(job).write("INFO", "x.y", word)
    answer = api.get(f"/api/jobs/{job.public_id}/logs/view?order=desc").json()
    assert [entry["message"] for entry in answer["entries"]] == ["two", "one"]


def test_a_job_without_a_log_has_an_empty_page_and_no_file(api: APIClient, job: Job) -> None:
    assert api.get(f"/api/jobs/{job.public_id}/logs/view").json()["total_lines"] == 0
    assert api.get(f"/api/jobs/{job.public_id}/logs").status_code == 404


def test_the_log_holds_the_correlation_id_and_no_secret(done: Job) -> None:
    JobLog(done).write("INFO", "x.y", "token=hunter2hunter2")
    text = storage.job_log(done.public_id).read_text()
    assert ('"correlation_id": "req-0123456789ab"' in text, "hunter2" in text) == (True, False)


def test_the_summary_names_the_first_error(api: APIClient, volume: Path, host: EngineHost) -> None:
    job = scripted.submit(error_at=1, error={"message": "Put it there."})
    runner.run_lane("gpu", "test/0", host)
    answer = api.get(f"/api/jobs/{job.public_id}/summary").json()
    assert (answer["status"], answer["first_error"]["message"]) == ("failed", "Put it there.")


def test_the_debug_bundle_holds_everything_that_is_promised(api: APIClient, done: Job) -> None:
    answer = api.get(f"/api/jobs/{done.public_id}/debug-bundle")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    parts = {name.removeprefix(f"{done.public_id}/").split("/")[0] for name in names}
    assert parts == {
        "metadata.json", "events.jsonl", "job.jsonl", "environment.json", "README.txt", "service_logs", "samples",
    }  # fmt: skip
