"""What tests of the job machinery share: the scripted kind, a host that runs it, quick settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from isengard.jobs.host import EngineHost
from isengard.jobs.kinds import KINDS
from tests import scripted_engine
from tests.jobs import scripted, scripted_kind


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    scripted_kind.install()
    scripted.ended.clear()
    yield
    del KINDS[scripted_kind.KIND]


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.JOB_LEASE_SECONDS, settings.JOB_RENEW_SECONDS, settings.JOB_POLL_SECONDS = 3.0, 0.5, 0.1


@pytest.fixture
def bells(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queues that would have been rung; no worker listens in these tests."""
    rung: list[str] = []
    monkeypatch.setattr("isengard.jobs.doorbell.ring_queue", rung.append)
    return rung


@pytest.fixture
def artifact_table(transactional_db: None) -> None:
    scripted.create_table()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    host = EngineHost("gpu0", tmp_path / "gpu0.lock", command=scripted_engine.COMMAND)
    yield host
    host.close()
