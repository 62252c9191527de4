"""Trainings and pictures in any state, as rows with their files, and what tests ask of an answer."""

from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from characters.models import Character
from generation import services as generation
from generation.models import Generation, Output
from isengard import storage
from isengard.jobs.models import Job
from tests.pictures import encoded
from training import services as training
from training.models import Sample, TrainingRun

HTMX = {"HX-Request": "true"}


def trained(character: Character, state: str = "queued", **job: Any) -> TrainingRun:
    """A run whose job is in `state`; `job` are fields of its row."""
    run = training.start_training(character=character, preset="balanced", base="pocket", values={})
    put(run.job, state, **job)
    return TrainingRun.objects.select_related("job", "character").get(pk=run.pk)


def pictured(character: Character | None = None, state: str = "completed", made: int = 1, **job: Any) -> Generation:
    """A request for two pictures of which `made` are there."""
    asked = generation.start_generation(prompt="a portrait", character=character, base="pocket", count=2, seed=7)
    put(asked.job, state, **job)
    for index in range(made):
        add_output(asked, index)
    return Generation.objects.select_related("job").get(pk=asked.pk)


def put(job: Job, state: str, **fields: Any) -> None:
    moments = {} if state == "queued" else {"started_at": timezone.now()}
    if state not in {"queued", "running"}:
        moments["finished_at"] = timezone.now()
    Job.objects.filter(pk=job.pk).update(state=state, **moments, **fields)


def add_output(asked: Generation, index: int) -> Output:
    key = f"{storage.output_key(asked.job.public_id)}/{index:02d}.png"
    path = storage.absolute(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded())
    seed = asked.seeds[index]
    sizes = {"width": 64, "height": 64, "size_bytes": path.stat().st_size, "seconds": 1.0}
    return Output.objects.create(generation=asked, index=index, file=key, seed=seed, **sizes)


def add_sample(run: TrainingRun, step: int, prompt: int = 0) -> Sample:
    file = f"{storage.run_key(run.job.public_id)}/samples/step-{step:06d}-{prompt}.png"
    size = {"seed": 1, "width": 64, "height": 64, "file": file}
    return Sample.objects.create(run=run, step=step, prompt_index=prompt, prompt="a photo of ohwxmira", **size)


def text(response: Any) -> str:
    """The page's source with runs of white space as one blank."""
    assert isinstance(response, HttpResponse)
    return " ".join(response.content.decode().split())


def queries(client: Client, url: str) -> int:
    """How many statements an answer takes."""
    client.get(url)
    with CaptureQueriesContext(connection) as seen:
        assert client.get(url).status_code == 200
    return len(seen)
