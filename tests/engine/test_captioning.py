"""Captioners: found on disk, and run by the real classes at toy size."""

import json
from pathlib import Path
from typing import Any

import pytest

from isengard.engine import captioners, captioning
from isengard.engine.errors import EngineError
from isengard.engine.specs import CaptionImage, CaptionModel, CaptionSpec
from tests.engine.captioners import WORDS, build_blip, build_florence2
from tests.pictures import encoded, picture

pytestmark = pytest.mark.integration

BUILDERS = {"blip": build_blip, "florence2": build_florence2}


@pytest.fixture(scope="module", params=["blip", "florence2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CaptionModel:
    folder = tmp_path_factory.mktemp("models") / "captioners" / request.param
    return CaptionModel("toy", "Toy", request.param, str(BUILDERS[request.param](folder)))


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights never end a sentence; eight words tell as much."""
    monkeypatch.setattr(captioning, "FLORENCE_TOKENS", 8)
    monkeypatch.setattr(captioning, "BLIP_TOKENS", 8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(picture(96, 64)))
    return path


@pytest.fixture
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder without any, and a machine whose own cache is empty."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "models"


def run(model: CaptionModel, *paths: Path, stop: bool = False) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    said: list[dict[str, Any]] = []
    spec = CaptionSpec("data-0", (model,), tuple(CaptionImage(index, str(path)) for index, path in enumerate(paths)))
    result = captioning.caption(
        spec, lambda name, /, **fields: said.append(fields) if name == "caption" else None, lambda: stop
    )
    return said, result


def test_a_captioner_answers_in_its_own_words(model: CaptionModel, photo: Path) -> None:
    ((event,), result) = run(model, photo)
    assert (event["index"], event["model"], result["captions"], result["stopped"]) == (0, "toy", 1, False)
    assert event["text"]
    assert set(event["text"].split()) <= set(WORDS)


def test_the_same_photo_gets_the_same_words(model: CaptionModel, photo: Path) -> None:
    assert run(model, photo)[0] == run(model, photo)[0]


def test_a_photo_that_is_gone_does_not_stop_the_others(model: CaptionModel, photo: Path, tmp_path: Path) -> None:
    (gone, there), _ = run(model, tmp_path / "gone.png", photo)
    assert gone["error"].startswith("The photo cannot be read")
    assert there["text"]


def test_it_stops_between_photos_when_told(model: CaptionModel, photo: Path) -> None:
    said, result = run(model, photo, stop=True)
    assert (said, result["stopped"]) == ([], True)


def test_a_broken_folder_is_named(model: CaptionModel, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((Path(model.path) / "config.json").read_text())
    with pytest.raises(EngineError, match="Toy cannot be loaded from"):
        run(CaptionModel("toy", "Toy", model.kind, str(tmp_path)), photo)


def test_the_spec_survives_its_way_as_json(model: CaptionModel) -> None:
    spec = CaptionSpec("data-0", (model,), (CaptionImage(3, "/a.png"),))
    assert CaptionSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_an_absent_captioner_says_what_to_put_where(no_models: Path) -> None:
    first = captioners.offered(no_models)[0]
    assert "Download florence-community/Florence-2-base from Hugging Face (0.5 GB, MIT)" in first.reason
    assert first.reason.endswith(f"into {no_models}/captioners/Florence-2-base.")


def test_a_captioner_of_the_users_own_is_found_by_its_config(no_models: Path) -> None:
    build_blip(no_models / "captioners" / "mine")
    found = captioners.locate("mine", no_models)
    assert (found.kind, found.path, found.details) == ("blip", str(no_models / "captioners" / "mine"), ("short",))


def test_a_known_captioner_is_found_in_the_hubs_cache(no_models: Path, tmp_path: Path) -> None:
    build_blip(tmp_path / "hub" / "models--Salesforce--blip-image-captioning-base" / "snapshots" / "abc")
    assert captioners.locate("blip-base", no_models).path.endswith("snapshots/abc")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors missing"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json missing"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "blip", "auto_map": {}}'), "never run"),
    ],
)
def test_an_incomplete_captioner_says_what_is_wrong(no_models: Path, spoil: Any, reason: str) -> None:
    spoil(build_blip(no_models / "captioners" / "blip-base"))
    with pytest.raises(EngineError, match=reason):
        captioners.locate("blip-base", no_models)


def test_an_unknown_captioner_is_refused(no_models: Path) -> None:
    with pytest.raises(EngineError, match="no captioner called"):
        captioners.locate("nobody", no_models)
