"""Names, strengths, key styles and published checkpoints of LoRA versions."""

from pathlib import Path
from typing import Any

import pytest

from characters.models import Character
from isengard import storage
from isengard.engine import catalog, lora_file
from isengard.errors import Conflict, Invalid, NotFound
from tests.library import conftest as files
from tests.pages.rows import trained
from tests.people import add_photo, make_lora
from training import loras
from training import services as training
from training.library import services
from training.models import Checkpoint, Lora


@pytest.fixture
def lora(mira: Character) -> Lora:
    """With a file that can be read."""
    made = make_lora(mira)
    files.diffusers(storage.absolute(made.file))
    return made


@pytest.fixture
def checkpoint(mira: Character) -> Checkpoint:
    """Of a running training, with its file."""
    add_photo(mira, 0)
    run = trained(mira, "running")
    key = f"{storage.run_key(run.job.public_id)}/checkpoints/step-000300.safetensors"
    storage.absolute(key).parent.mkdir(parents=True)
    size = files.diffusers(storage.absolute(key)).stat().st_size
    return Checkpoint.objects.create(run=run, step=300, file=key, size_bytes=size, loss=0.5)


def test_a_name_of_ones_own_stands_before_the_number(lora: Lora) -> None:
    assert str(services.change(lora=lora, name="  Best  of all ")) == "Best of all v1"


def test_an_empty_name_is_the_characters_again(lora: Lora) -> None:
    services.change(lora=lora, name="Best")
    assert str(services.change(lora=lora, name="")) == "Mira v1"


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan"), float("inf")])
def test_a_strength_out_of_range_is_refused(lora: Lora, strength: float) -> None:
    with pytest.raises(Invalid):
        services.change(lora=lora, strength=strength)
    assert Lora.objects.get().default_strength == 1.0


def test_the_kohya_file_is_made_beside_the_lora(lora: Lora) -> None:
    key, name = services.file_in_style(lora, "kohya")
    assert name.endswith("-kohya.safetensors")
    assert lora_file.inspect(storage.absolute(key)).style == "kohya"


def test_the_kohya_file_is_made_once(lora: Lora) -> None:
    key, _ = services.file_in_style(lora, "kohya")
    before = storage.absolute(key).stat().st_mtime_ns
    services.file_in_style(lora, "kohya")
    assert storage.absolute(key).stat().st_mtime_ns == before


def test_an_unknown_style_is_refused(lora: Lora) -> None:
    with pytest.raises(Invalid, match="diffusers or kohya"):
        services.file_in_style(lora, "../etc")


def test_a_lora_without_its_file_has_no_style(lora: Lora) -> None:
    storage.remove(lora.file)
    with pytest.raises(NotFound):
        services.file_in_style(lora, "kohya")


def test_both_files_go_with_the_row(lora: Lora, volume: Path, django_capture_on_commit_callbacks: Any) -> None:
    services.file_in_style(lora, "kohya")
    with django_capture_on_commit_callbacks(execute=True):
        training.delete_lora(lora=lora)
    assert not list(volume.rglob("*.safetensors"))


def test_a_checkpoint_becomes_the_active_version(checkpoint: Checkpoint) -> None:
    lora = loras.publish_checkpoint(checkpoint=checkpoint)
    told = (lora.version, lora.is_active, lora.origin, lora.steps, lora.final_loss, lora.rank)
    assert told == (1, True, "checkpoint", 300, 0.5, 4)
    assert lora.base_version == catalog.get("pocket").version


def test_its_file_outlives_the_checkpoints(checkpoint: Checkpoint) -> None:
    lora = loras.publish_checkpoint(checkpoint=checkpoint)
    storage.remove(checkpoint.file)
    checkpoint.delete()
    lora.refresh_from_db()
    assert lora.checkpoint is None and storage.absolute(lora.file).is_file()


def test_a_checkpoint_is_published_once(checkpoint: Checkpoint) -> None:
    loras.publish_checkpoint(checkpoint=checkpoint)
    with pytest.raises(Conflict, match="Mira v1 already"):
        loras.publish_checkpoint(checkpoint=checkpoint)


def test_a_deleted_checkpoint_says_why_it_cannot_be_used(checkpoint: Checkpoint) -> None:
    storage.remove(checkpoint.file)
    checkpoint.deleted_because = "only the best four are kept"
    with pytest.raises(NotFound, match="only the best four"):
        loras.publish_checkpoint(checkpoint=checkpoint)


def test_a_damaged_checkpoint_is_refused(checkpoint: Checkpoint) -> None:
    storage.absolute(checkpoint.file).write_bytes(b"half a file")
    with pytest.raises(Invalid):
        loras.publish_checkpoint(checkpoint=checkpoint)
    assert not Lora.objects.exists()
