"""300 jobs, three lanes of real workers and engines, 60 SIGKILLs, cancels in between: nothing lost, nothing twice.

ISENGARD_STORM=jobs,kills,seconds makes it longer (nightly: 5000,1000,3600)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from isengard.jobs.models import Job
from tests.jobs import scripted, scripted_kind
from tests.jobs.storm import Outcome, Storm

# Marked for the database because pytest-django prepares it only for tests that say so.
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
JOBS, KILLS, SECONDS = (int(word) for word in os.environ.get("ISENGARD_STORM", "300,60,240").split(","))
OVERRIDES = {"GPU_LANES": ["gpu0", "gpu1", "gpu2"], "JOB_LEASE_SECONDS": 3.0, "JOB_MAX_ATTEMPTS": 1000}


@pytest.fixture(scope="module")
def storm(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcome]:
    log: Path = tmp_path_factory.mktemp("storm") / "workers.log"
    with django_db_blocker.unblock(), override_settings(**OVERRIDES), pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORM_DATABASE", str(connection.settings_dict["NAME"]))
        scripted_kind.install()
        scripted.create_table()
        outcome = Storm(JOBS, KILLS, log).run(SECONDS)
        print(f"\nkill storm: {outcome}\nworkers' log: {log}")
        yield outcome
        Job.objects.all().delete()


def test_all_kills_were_made_and_many_met_a_running_job(storm: Outcome) -> None:
    assert sum(storm.kills.values()) == KILLS
    assert storm.taken_up_again >= KILLS / 4


def test_every_job_ended_and_has_its_artifact(storm: Outcome) -> None:
    assert storm.lost == 0
    assert set(storm.states) <= {"completed", "cancelled"}


def test_no_artifact_was_made_twice_or_for_nothing(storm: Outcome) -> None:
    assert (storm.doubled, storm.stray_artifacts) == (0, 0)


def test_every_cancel_that_was_promised_was_kept(storm: Outcome) -> None:
    assert storm.broken_promises == 0


def test_no_event_is_missing(storm: Outcome) -> None:
    assert storm.gaps == 0


def test_no_engine_and_no_lock_is_left(storm: Outcome) -> None:
    assert (storm.engines_left, storm.locks_left) == (0, 0)
