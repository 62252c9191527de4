"""The whole way of a captioning job, with the real engine and a real captioner of toy size."""

from pathlib import Path
from typing import Any

import pytest

from characters.captions import services, writing
from isengard.jobs import runner
from isengard.jobs.host import EngineHost
from isengard.jobs.models import Job
from tests.engine.captioners import WORDS, build_blip
from tests.people import make_character

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def host(tmp_path: Path, settings: Any) -> Any:
    settings.MODELS_DIR = tmp_path / "models"
    build_blip(settings.MODELS_DIR / "captioners" / "toy")
    host = EngineHost("gpu0", tmp_path / "gpu0.lock", {"OMP_NUM_THREADS": "1"})
    yield host
    host.close()


def test_a_captioner_from_disk_writes_the_captions_of_a_character(volume: Path, host: EngineHost) -> None:
    mira = make_character(photos=2)
    task = writing.start_all(character=mira, model="toy", strip=False)
    runner.run_lane("gpu", "test/0", host)
    job = Job.objects.get(pk=task.job.pk)
    assert (job.state, job.result["message"]) == ("completed", "2 captions written.")
    for image in mira.images.all():
        assert set(image.caption.split()) <= set(WORDS) and image.caption
        assert services.author(image) == "model"


def test_a_broken_captioner_fails_the_job_with_what_to_do(volume: Path, host: EngineHost, settings: Any) -> None:
    (settings.MODELS_DIR / "captioners" / "toy" / "model.safetensors").write_bytes(b"cut off")
    task = writing.start_all(character=make_character(photos=1), model="toy")
    runner.run_lane("gpu", "test/0", host)
    job = Job.objects.get(pk=task.job.pk)
    assert (job.state, job.error_code) == ("failed", "captioner_broken")
    assert "Download it again" in job.error_message
