"""A job of pictures and the engine: the spec, the rows that events write, what counts as done, what is tidied."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from characters.models import Character
from generation import services, thumbs
from generation.gallery import binning
from generation.handlers import GenerationHandler
from generation.models import Generation, Output
from isengard import storage
from isengard.engine.errors import EngineError
from isengard.engine.specs import spec_from_dict
from isengard.errors import Invalid
from tests.people import make_lora
from tests.pictures import encoded, picture
from training.services import delete_lora

HANDLER = GenerationHandler()


@pytest.fixture
def asked(mira: Character) -> Generation:
    make_lora(mira)
    return services.start_generation(prompt="smiling", character=mira, count=2, seed=5, strength=0.8)


def tell(generation: Generation, index: int, side: int = 64) -> dict[str, Any] | None:
    path = storage.absolute(storage.output_key(generation.job.public_id)) / f"{index:02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture(side, side)))
    facts = {"seed": 5 + index, "width": side, "height": side, "size_bytes": path.stat().st_size, "seconds": 0.5}
    return HANDLER.on_event(generation.job, {"type": "output", "path": str(path), "index": index, **facts})


def test_the_spec_survives_the_way_to_the_engine(asked: Generation) -> None:
    spec = HANDLER.spec(asked.job)
    assert spec_from_dict(json.loads(json.dumps(spec))).to_dict() == spec


def test_the_spec_holds_seeds_lora_and_the_engines_own_parameters(asked: Generation) -> None:
    spec = HANDLER.spec(asked.job)
    assert spec["seeds"] == (5, 6) and spec["prompt"] == "ohwxmira, smiling"
    known = {"width", "height", "steps", "guidance_scale", "negative_prompt", "tiled_decoding", "sampler"}
    assert set(spec["params"]) == known
    assert spec["loras"][0]["strength"] == 0.8 and Path(spec["loras"][0]["path"]).is_file()


def test_the_recipe_names_origins_and_no_paths(asked: Generation, volume: Path) -> None:
    recipe = HANDLER.spec(asked.job)["recipe"]
    assert recipe["lora"]["version"] == 1 and recipe["character"]["name"] == "Mira"
    assert str(volume) not in json.dumps(recipe)


def test_queued_pictures_of_a_deleted_lora_fail_with_its_name(asked: Generation) -> None:
    delete_lora(lora=asked.lora)
    with pytest.raises(Invalid, match=r"Mira v1 .* was deleted") as caught:
        HANDLER.spec(asked.job)
    assert caught.value.code == "lora_deleted"


def test_a_picture_is_one_row_however_often_it_is_told(asked: Generation) -> None:
    tell(asked, 0)
    payload = tell(asked, 0)
    assert payload["url"] == f"/api/generation/{asked.job.public_id}/outputs/0"
    assert asked.outputs.count() == 1


def test_a_picture_of_a_tiles_size_is_its_own_thumbnail(asked: Generation) -> None:
    tell(asked, 0, side=384)
    output = asked.outputs.get()
    assert output.thumb == output.file and thumbs.soon(output) is None


@pytest.mark.parametrize("side", [64, 1024])
def test_tiny_and_large_pictures_get_one_of_a_tiles_size(asked: Generation, side: int) -> None:
    tell(asked, 0, side)
    made = thumbs.soon(asked.outputs.get())
    with Image.open(storage.absolute(made.result() if made else "")) as thumb:
        assert thumb.size == (512, 512) and thumb.format == "WEBP"


def test_a_pictures_thumbnail_is_begun_once_its_row_is_sure(
    asked: Generation, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    begun: list[Output] = []
    monkeypatch.setattr(thumbs, "soon", begun.append)
    with django_capture_on_commit_callbacks(execute=True):
        tell(asked, 0)
        assert not begun
    assert [output.index for output in begun] == [0]


def test_all_pictures_complete_without_a_note(asked: Generation) -> None:
    tell(asked, 0), tell(asked, 1)
    assert HANDLER.finish(asked.job, {"seconds": 1})["message"] == ""


def test_fewer_pictures_complete_with_a_note(asked: Generation) -> None:
    tell(asked, 0)
    assert HANDLER.finish(asked.job, {"seconds": 1})["message"] == "1 of 2 pictures were made."


def test_no_picture_is_a_failure(asked: Generation) -> None:
    with pytest.raises(EngineError, match="no picture"):
        HANDLER.finish(asked.job, {"seconds": 1})


def test_previews_are_shown_and_swept_away_at_the_end(asked: Generation) -> None:
    tell(asked, 0, side=384)
    folder = storage.absolute(storage.output_key(asked.job.public_id))
    (folder / "preview-00.jpg").write_bytes(b"x")
    event = {"type": "preview", "path": str(folder / "preview-00.jpg"), "index": 0, "step": 3, "total": 20}
    assert HANDLER.on_event(asked.job, event)["url"].endswith("/previews/preview-00.jpg")
    HANDLER.on_ended(asked.job)
    assert [path.name for path in folder.iterdir()] == ["00.png"]


def test_a_deleted_picture_takes_its_files_along(asked: Generation, django_capture_on_commit_callbacks: Any) -> None:
    tell(asked, 0, side=1024)
    tell(asked, 1, side=384)
    with django_capture_on_commit_callbacks(execute=True):
        binning.erase_outputs([asked.outputs.get(index=0)])
    folder = storage.absolute(storage.output_key(asked.job.public_id))
    assert [path.name for path in folder.iterdir()] == ["01.png"]


def test_removing_the_job_deletes_its_folder(asked: Generation) -> None:
    tell(asked, 0)
    HANDLER.on_removed(asked.job)
    assert not storage.absolute(storage.output_key(asked.job.public_id)).exists()
    assert HANDLER.artifacts(asked.job)[0]["name"] == "00.png"
