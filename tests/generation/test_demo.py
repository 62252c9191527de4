"""`manage.py demo`, the main job headless, here with the scripted engine."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from isengard.jobs import workers
from tests import scripted_engine
from tests.pictures import encoded

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def scripted(settings: Any, volume: Path) -> Iterator[None]:
    settings.ENGINE_COMMAND = scripted_engine.COMMAND
    settings.STATE_DIR = volume / "state"
    workers.host.cache_clear()
    yield
    workers.host(settings.GPU_LANES[0]).close()
    workers.host.cache_clear()


def demo(**options: Any) -> tuple[list[dict[str, Any]], str]:
    """The stages it told, and what it said on the side."""
    out, err = io.StringIO(), io.StringIO()
    call_command("demo", preset="quick", stdout=out, stderr=err, **options)
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def test_every_stage_is_told_with_files_that_exist() -> None:
    stages, _ = demo()
    assert [stage["stage"] for stage in stages] == ["character", "training", "pictures", "done"]
    assert {stage["base"] for stage in stages} == {"pocket"} and all(stage["seconds"] >= 0 for stage in stages)
    assert stages[0]["photos"] == 12 and Path(stages[1]["lora"]).is_file()
    assert len(stages[2]["pictures"]) == 4 and all(Path(path).is_file() for path in stages[2]["pictures"])


def test_a_folder_of_photographs_is_used_and_a_broken_one_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded())
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "notes.md").write_text("not looked at")
    stages, side = demo(photos=tmp_path)
    assert stages[0]["photos"] == 1
    assert json.loads(side)["refused"] == "b.png"


def test_a_folder_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no folder"):
        demo(photos=tmp_path / "nowhere")


def test_a_base_that_is_not_on_disk_is_told_in_a_sentence() -> None:
    with pytest.raises(CommandError, match=r"FLUX\.1-dev is not on this machine"):
        demo(base="flux-dev")
