"""`manage.py doctor`: every part is looked at, and what is wrong has its fix."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from isengard.studio.diagnosis import Finding, examine

pytestmark = pytest.mark.django_db


def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in examine()}


def test_every_part_is_looked_at() -> None:
    parts = {"Python", "Django", "torch", "Disk", "GPU", "Model pocket", "Settings", "Postgres", "Migrations", "Redis"}
    assert parts <= set(findings())


def test_running_services_are_well() -> None:
    found = findings()
    assert not any(found[name].wrong for name in ("Python", "Postgres", "Migrations", "Redis", "Disk"))


def test_everything_wrong_has_a_fix() -> None:
    wrong = [finding for finding in examine() if finding.wrong]
    assert wrong  # no worker runs beside a test
    assert all(finding.fix for finding in wrong)


def test_a_redis_that_is_gone_is_found(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = findings()["Redis"]
    assert found.wrong
    assert "REDIS_URL" in found.fix


def test_a_full_disk_is_found(settings: Settings) -> None:
    settings.FREE_SPACE_FLOOR = 10**18
    assert "Free some space" in findings()["Disk"].fix


def test_a_missing_model_of_production_is_wrong(settings: Settings) -> None:
    settings.ISENGARD_MODE = "production"
    found = findings()
    assert found["Model flux-dev"].wrong
    assert not found["Model pocket"].wrong


def report(*options: str) -> tuple[Any, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", *options, stdout=out)
    return ended.value.code, out.getvalue()


def test_the_exit_code_says_that_something_is_wrong() -> None:
    code, text = report()
    assert code == 1
    assert "Workers gpu" in text
    assert "-> Start the studio: make run" in text


def test_json_is_one_object() -> None:
    _, text = report("--json")
    found = json.loads(text)
    assert found["ok"] is False
    assert {"name", "value", "wrong", "fix"} == set(found["findings"][0])
