"""What a list costs in queries: the same however long it is."""

from django.db import transaction
from django.test import Client

from characters.models import Character
from isengard.jobs.models import Job
from tests.pages.rows import pictured, put, queries, trained
from tests.people import engine_result, make_character
from training.handlers import TrainingHandler

LISTS = (
    "/api/characters", "/api/training", "/api/training/ongoing", "/api/loras", "/api/generation", "/api/jobs",
    "/characters", "/dataset", "/training", "/training/ongoing", "/generate", "/generate/results",
    "/pictures", "/api/outputs", "/queue", "/logs",
)  # fmt: skip


def add_everything(character: Character) -> None:
    """A finished and a waiting training, pictures that are there and pictures that wait."""
    run = trained(character, "running", step=5, total=10)
    with transaction.atomic():
        TrainingHandler().finish(run.job, engine_result(run))
    put(run.job, "completed")
    trained(character)
    pictured(character, made=2)
    pictured(character, "queued", made=0)


def costs(client: Client) -> dict[str, int]:
    return {address: queries(client, address) for address in LISTS}


def test_no_list_asks_for_its_rows_one_by_one(client: Client, mira: Character) -> None:
    add_everything(mira)
    few = costs(client)
    for number in range(3):
        add_everything(make_character(f"Mira {number}", f"ohwx{number}"))
    assert Job.objects.count() == 16
    assert costs(client) == few
