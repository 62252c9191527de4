"""Files from elsewhere become versions of a character, with a report; what cannot be used leaves nothing behind."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from characters.models import Character
from isengard import storage
from isengard.engine import catalog, lora_file
from isengard.errors import Conflict, DomainError, Invalid
from tests.library import conftest as files
from tests.library.conftest import POCKET, Q, pair
from tests.people import make_lora
from training.library import receiving
from training.models import Lora


def upload(path: Path, character: Character | None, **fields: str) -> Lora:
    """As the pages do it, from an open file."""
    with path.open("rb") as file, receiving.received(file, path.name) as taken:
        return receiving.upload(path=taken, filename=path.name, character=character, **fields)


def test_a_kohya_file_becomes_the_first_version_and_the_active_one(mira: Character, tmp_path: Path) -> None:
    lora = upload(files.kohya(tmp_path / "k.safetensors"), mira)
    assert (lora.version, lora.is_active, lora.origin, lora.base) == (1, True, "uploaded", "pocket")


def test_it_is_kept_as_diffusers_reads_it(mira: Character, tmp_path: Path) -> None:
    lora = upload(files.kohya(tmp_path / "k.safetensors"), mira)
    kept = lora_file.inspect(storage.absolute(lora.file))
    assert (kept.style, len(kept.layers), lora.rank) == ("diffusers", 3, 4)
    assert lora.sha256 == storage.sha256(storage.absolute(lora.file))


def test_the_report_says_what_was_recognised(mira: Character, tmp_path: Path) -> None:
    report = upload(files.kohya(tmp_path / "k.safetensors"), mira).report
    told = {key: report[key] for key in ("style", "layers", "double_blocks", "single_blocks", "dtype", "tensors")}
    assert told == {
        "style": "kohya",
        "layers": 3,
        "double_blocks": 1,
        "single_blocks": 0,
        "dtype": "F32",
        "tensors": 3,
    }


def test_the_steps_come_from_the_files_own_words(mira: Character, tmp_path: Path) -> None:
    assert upload(files.kohya(tmp_path / "k.safetensors"), mira).steps == 1200


def test_a_file_in_diffusers_style_is_kept_to_the_byte(mira: Character, tmp_path: Path) -> None:
    path = files.diffusers(tmp_path / "d.safetensors")
    lora = upload(path, mira)
    assert lora.sha256 == storage.sha256(path) and lora.report["kept_as_is"]


def test_text_encoder_tensors_are_reported_and_not_kept(mira: Character, tmp_path: Path) -> None:
    name = "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"
    lora = upload(files.kohya(tmp_path / "k.safetensors", {name: np.ones((4, 8), np.float32)}), mira)
    assert lora.report["text_encoder"] == {"count": 1, "keys": [name]}
    assert not lora_file.inspect(storage.absolute(lora.file)).text


def test_the_trigger_word_of_the_file_wins_over_the_characters(mira: Character, tmp_path: Path) -> None:
    path = files.diffusers(tmp_path / "d.safetensors", modelspec__trigger_phrase="sks")
    lora = upload(path, mira)
    assert lora.trigger_word == "sks"
    assert any("not ohwxmira" in note for note in lora.report["notes"])


def test_a_typed_trigger_word_wins_over_the_files(mira: Character, tmp_path: Path) -> None:
    path = files.diffusers(tmp_path / "d.safetensors", modelspec__trigger_phrase="sks")
    assert upload(path, mira, trigger_word=" typed ").trigger_word == "typed"


def test_a_file_without_a_trigger_word_takes_the_characters(mira: Character, tmp_path: Path) -> None:
    assert upload(files.diffusers(tmp_path / "d.safetensors"), mira).trigger_word == "ohwxmira"


def test_without_a_character_a_new_one_is_made(db: None, volume: Path, tmp_path: Path) -> None:
    path = files.diffusers(tmp_path / "d.safetensors", modelspec__trigger_phrase="sks")
    lora = upload(path, None, name="Joon")
    assert (lora.character.name, lora.character.trigger_word, str(lora)) == ("Joon", "sks", "Joon v1")


def test_a_new_character_needs_a_trigger_word(db: None, volume: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        upload(files.diffusers(tmp_path / "d.safetensors"), None)
    assert caught.value.code == "bad_trigger_word" and not Character.objects.exists()


def test_the_same_file_again_says_where_it_is(mira: Character, tmp_path: Path) -> None:
    path = files.kohya(tmp_path / "k.safetensors")
    upload(path, mira)
    with pytest.raises(Conflict, match="Mira v1") as caught:
        upload(path, mira)
    assert caught.value.code == "duplicate" and Lora.objects.count() == 1


def test_another_characters_copy_is_only_a_note(mira: Character, tmp_path: Path) -> None:
    path = files.diffusers(tmp_path / "d.safetensors", modelspec__trigger_phrase="sks")
    upload(path, mira)
    assert any("Mira v1" in note for note in upload(path, None, name="Joon").report["notes"])


def test_a_trained_version_stays_the_active_one(mira: Character, tmp_path: Path) -> None:
    trained = make_lora(mira)
    lora = upload(files.kohya(tmp_path / "k.safetensors"), mira, name="From a friend")
    assert (lora.version, lora.is_active, str(lora)) == (2, False, "From a friend v2")
    assert Lora.objects.active().get() == trained


def test_a_file_of_earlier_weights_is_kept_as_that(mira: Character, tmp_path: Path) -> None:
    now = catalog.get("pocket").version
    lora = upload(files.diffusers(tmp_path / "d.safetensors", isengard=files.ours(now + 1)), mira)
    assert lora.is_outdated and any("not the one of today" in note for note in lora.report["notes"])


def truncated(path: Path) -> Path:
    files.diffusers(path)
    os.truncate(path, path.stat().st_size - 10)
    return path


def long_header(path: Path) -> Path:
    path.write_bytes(struct.pack("<Q", 2 << 30) + b"{}")
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def pickled(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04" + bytes(200))
    return path


def not_numbers(path: Path) -> Path:
    weights = pair("transformer.x_embedder.lora_A.weight", "transformer.x_embedder.lora_B.weight", 64, POCKET.width)
    weights["transformer.x_embedder.lora_B.weight"][3, 1] = np.nan
    return files.write(path, weights)


def all_zero(path: Path) -> Path:
    stem = f"transformer.{Q}"
    weights = pair(f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", POCKET.width, POCKET.width)
    return files.write(path, {name: value * ("lora_A" in name) for name, value in weights.items()})


def rank_zero(path: Path) -> Path:
    stem = f"transformer.{Q}"
    return files.write(path, pair(f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", POCKET.width, POCKET.width, rank=0))


def whole_numbers(path: Path) -> Path:
    return files.write(path, {f"transformer.{Q}.lora_A.weight": np.ones((4, POCKET.width), np.int64)})


def of_sdxl(path: Path) -> Path:
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k"
    return files.write(path, pair(f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", 2048, 640))


def of_no_base(path: Path) -> Path:
    stem = f"transformer.{Q}"
    return files.write(path, pair(f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", 1536, 1536))


def too_many_blocks(path: Path) -> Path:
    stem = "transformer.transformer_blocks.11.attn.to_q"
    return files.write(path, pair(f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", POCKET.width, POCKET.width))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (truncated, "not_a_lora"),
        (long_header, "not_a_lora"),
        (empty, "not_a_lora"),
        (pickled, "lora_pickle"),
        (not_numbers, "lora_not_finite"),
        (all_zero, "lora_no_effect"),
        (rank_zero, "not_a_lora"),
        (whole_numbers, "not_a_lora"),
        (of_sdxl, "lora_other_family"),
        (of_no_base, "lora_other_base"),
        (too_many_blocks, "lora_wrong_shapes"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(
    mira: Character, tmp_path: Path, volume: Path, make: Callable[[Path], Path], code: str
) -> None:
    with pytest.raises(DomainError) as caught:
        upload(make(tmp_path / "x.safetensors"), mira)
    assert caught.value.code == code and not Lora.objects.exists()
    assert not list(volume.rglob("*.safetensors")) and not list((volume / "tmp").iterdir())


def test_a_file_over_the_cap_is_refused(mira: Character, tmp_path: Path, settings: object) -> None:
    settings.LORA_MAX_BYTES = 100  # type: ignore[attr-defined]
    with pytest.raises(Invalid) as caught:
        upload(files.diffusers(tmp_path / "d.safetensors"), mira)
    assert (caught.value.code, caught.value.status) == ("file_too_large", 413)


def test_a_failure_after_the_file_was_kept_takes_it_away_again(
    mira: Character, tmp_path: Path, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise Conflict("broken", "Broken.")

    monkeypatch.setattr("training.library.receiving.reports.report", broken)
    with pytest.raises(Conflict):
        upload(files.diffusers(tmp_path / "d.safetensors"), mira)
    assert not list(volume.rglob("*.safetensors"))
