"""The base models as facts: found where they lie, refused with what is missing."""

import json
from pathlib import Path

import pytest

from isengard.engine import catalog
from isengard.engine.errors import EngineError
from isengard.engine.params import clean_all


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, so that this machine's own is not seen."""
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


def put(folder: Path, *without: str) -> Path:
    """A diffusers folder of FLUX with empty files; the transformer in two shards."""
    names = ["model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer_2/spiece.model"]
    names += [f"{part}/config.json" for part in catalog.WEIGHTS]
    names += [f"{part}/model.safetensors" for part in catalog.WEIGHTS[1:]]
    names += ["transformer/a.safetensors", "transformer/b.safetensors"]
    for name in set(names) - set(without):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def refusal(key: str, models: Path) -> str:
    with pytest.raises(EngineError) as error:
        catalog.locate(key, models)
    assert error.value.code == "base_missing"
    return error.value.message


def test_pocket_is_in_the_repository(tmp_path: Path) -> None:
    assert catalog.locate("pocket", tmp_path) == catalog.POCKET


def test_pocket_tells_its_own_size_and_text_length() -> None:
    facts = json.loads((catalog.POCKET / "pocket.json").read_text())
    pocket = catalog.get("pocket")
    assert (pocket.native_size, pocket.max_sequence_length) == (facts["native_size"], facts["max_sequence_length"])


@pytest.mark.parametrize("name", ["FLUX.1-dev", "flux-dev"])
def test_a_folder_named_after_the_repository_or_the_key_is_found(tmp_path: Path, name: str) -> None:
    folder = put(tmp_path / name)
    assert catalog.locate("flux-dev", tmp_path) == folder


def test_a_snapshot_in_the_hugging_face_cache_is_found(tmp_path: Path, cache: Path) -> None:
    folder = put(cache / "models--black-forest-labs--FLUX.1-dev" / "snapshots" / "abc")
    assert catalog.locate("flux-dev", tmp_path) == folder


def test_the_snapshot_that_main_names_comes_first(tmp_path: Path, cache: Path) -> None:
    repository = cache / "models--black-forest-labs--FLUX.1-dev"
    named, _newer = put(repository / "snapshots" / "abc"), put(repository / "snapshots" / "def")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert catalog.locate("flux-dev", tmp_path) == named


def test_a_whole_folder_is_preferred_to_a_broken_one(tmp_path: Path) -> None:
    put(tmp_path / "FLUX.1-dev", "vae/model.safetensors")
    whole = put(tmp_path / "flux-dev")
    assert catalog.locate("flux-dev", tmp_path) == whole


def test_what_to_put_where_is_said_when_there_is_nothing(tmp_path: Path) -> None:
    message = refusal("flux-dev", tmp_path)
    assert "black-forest-labs/FLUX.1-dev" in message and str(tmp_path / "FLUX.1-dev") in message


@pytest.mark.parametrize("key", ["flux-dev", "flux-schnell"])
def test_accepting_the_licence_is_mentioned_for_gated_models_only(tmp_path: Path, key: str) -> None:
    assert ("accept its licence" in refusal(key, tmp_path)) == (key == "flux-dev")


@pytest.mark.parametrize(
    ("without", "named"),
    [
        ("vae/model.safetensors", "vae/*.safetensors"),
        ("vae/config.json", "vae/"),
        ("transformer/b.safetensors", "transformer/b.safetensors"),
        ("tokenizer_2/spiece.model", "tokenizer_2/"),
        ("scheduler/scheduler_config.json", "scheduler/"),
    ],
)
def test_the_missing_part_is_named(tmp_path: Path, without: str, named: str) -> None:
    put(tmp_path / "FLUX.1-dev", without)
    assert f"not complete: {named} missing" in refusal("flux-dev", tmp_path)


def test_a_link_to_a_download_that_was_cut_off_counts_as_missing(tmp_path: Path) -> None:
    folder = put(tmp_path / "FLUX.1-dev", "vae/model.safetensors")
    (folder / "vae" / "model.safetensors").symlink_to(tmp_path / "blobs" / "gone")
    assert "vae/*.safetensors" in refusal("flux-dev", tmp_path)


def test_an_unknown_base_names_the_known_ones() -> None:
    with pytest.raises(EngineError, match="pocket, flux-dev, flux-schnell"):
        catalog.get("sdxl")


def test_schnell_refuses_training_with_the_reason() -> None:
    with pytest.raises(EngineError, match="de-distillation adapter"):
        catalog.training_params("flux-schnell")


@pytest.mark.parametrize("key", ["pocket", "flux-dev"])
def test_every_training_default_is_a_value_it_accepts(key: str) -> None:
    params = catalog.training_params(key)
    defaults = {param.name: param.default for param in params}
    assert clean_all(params, defaults) == {**defaults, "sample_prompts": []}


@pytest.mark.parametrize("key", list(catalog.BASES))
def test_every_drawing_default_is_a_value_it_accepts(key: str) -> None:
    params = catalog.generation_params(key)
    defaults = {param.name: param.default for param in params}
    assert clean_all(params, defaults) == defaults


@pytest.mark.parametrize("key", list(catalog.BASES))
def test_every_knob_has_a_label_and_a_sentence(key: str) -> None:
    for param in catalog.generation_params(key):
        assert param.label and param.help.endswith(".")


def test_a_base_offers_no_knob_that_it_ignores() -> None:
    names = {key: {param.name for param in catalog.generation_params(key)} for key in catalog.BASES}
    assert "guidance_scale" not in names["flux-schnell"] and "negative_prompt" not in names["flux-dev"]


@pytest.mark.parametrize("key", list(catalog.BASES))
def test_the_usual_size_is_possible(key: str) -> None:
    base = catalog.get(key)
    assert base.native_size % base.multiple == 0
