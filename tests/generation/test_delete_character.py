"""Deleting a character takes its trainings, LoRAs and pictures along, rows and files."""

import pytest
from django.db import transaction

from characters.models import Character
from characters.services import delete_character
from generation import services
from isengard import storage
from isengard.errors import Conflict
from isengard.jobs.models import Job
from tests.people import engine_result
from training.handlers import TrainingHandler
from training.models import Lora, TrainingRun
from training.services import start_training


@pytest.fixture
def trained(mira: Character) -> Character:
    """Mira with a finished training and a job of pictures with one picture in its folder."""
    run = start_training(character=mira, preset="quick", base="pocket", values={})
    with transaction.atomic():
        TrainingHandler().finish(run.job, engine_result(run))
    made = services.start_generation(prompt="smiling", character=mira)
    folder = storage.absolute(storage.output_key(made.job.public_id))
    folder.mkdir(parents=True)
    (folder / "00.png").write_bytes(b"png")
    return mira


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_of_a_deleted_character(trained: Character) -> None:
    Job.objects.update(state=Job.State.COMPLETED)
    delete_character(character=trained, typed_name="Mira")
    assert not (Job.objects.exists() or TrainingRun.objects.exists() or Lora.objects.exists())
    left = [path for name in ("runs", "outputs", "loras", "characters") for path in storage.absolute(name).glob("**/*")]
    assert not [path for path in left if path.is_file()]


@pytest.mark.django_db(transaction=True)
def test_a_character_at_work_is_not_deleted(trained: Character) -> None:
    with pytest.raises(Conflict):
        delete_character(character=trained, typed_name="Mira")
    assert Lora.objects.count() == 1
