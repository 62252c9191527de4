"""Pictures and captions as tensors: buckets, crops, the cache."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from isengard.engine import families, pipelines, sampling
from isengard.engine.families.flux1 import Flux1
from isengard.engine.fitting import bucket_size
from isengard.engine.pipelines import PromptCache
from isengard.engine.specs import BaseModel, TrainImage, TrainSpec
from isengard.engine.trainer.data import Preparation, class_caption, load_pixels
from tests.engine.conftest import Events

Make = Callable[..., TrainSpec]


@pytest.fixture
def family(tiny: BaseModel) -> Flux1:
    return Flux1(tiny, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(4000, 4000, (1024, 1024)), (4000, 3000, (1184, 880)), (3000, 4000, (880, 1184)), (16000, 1000, (2048, 512))],
)
def test_a_bucket_keeps_the_aspect_within_bounds(width: int, height: int, expected: tuple[int, int]) -> None:
    assert bucket_size(width, height, 1024, 16) == expected


@pytest.mark.parametrize("size", [(640, 480), (333, 777), (64, 64), (1, 900)])
def test_a_bucket_is_made_of_whole_multiples_with_about_the_area_asked_for(size: tuple[int, int]) -> None:
    width, height = bucket_size(*size, 64, 8)
    assert width % 8 == 0
    assert height % 8 == 0
    assert 0.75 <= width * height / 64**2 <= 1.25


def test_a_picture_is_cropped_in_the_middle_and_never_squeezed(tmp_path: Path) -> None:
    """A disc must stay as wide as it is high in a bucket of another aspect."""
    path = tmp_path / "disc.png"
    picture = Image.new("L", (300, 290))
    picture.paste(255, (100, 95, 200, 195))
    picture.save(path)
    pixels = load_pixels(TrainImage(str(path), "0", ""), 64, 32)[0, 0]
    assert (pixels[32] > 0).sum() == (pixels[:, 32] > 0).sum()


def test_pixels_run_from_minus_one_to_one(tmp_path: Path) -> None:
    path = tmp_path / "two.png"
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste("black", (0, 0, 32, 64))
    picture.save(path)
    pixels = load_pixels(TrainImage(str(path), "0", ""), 64, 8)
    assert (pixels.min().item(), pixels.max().item()) == (-1.0, 1.0)


def test_a_repeated_prompt_costs_no_encoder_call_even_in_another_process(
    family: Flux1, tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = PromptCache(family, tmp_path).get("a photo of ohwx")
    other = Flux1(tiny, torch.device("cpu"), torch.float32)
    monkeypatch.setattr(other, "encode_prompts", lambda prompts: pytest.fail("encoded again"))
    again = PromptCache(other, tmp_path).get("a photo of ohwx")
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_damaged_cache_entry_is_made_again(family: Flux1, tmp_path: Path) -> None:
    first = PromptCache(family, tmp_path).get("hello")
    entry = next((tmp_path / "prompts").iterdir())
    entry.write_bytes(b"broken")
    again = PromptCache(family, tmp_path).get("hello")
    assert torch.equal(first["prompt"], again["prompt"])


def test_the_cache_throws_out_what_was_unused_longest(
    family: Flux1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    pipelines.write_tensors(old, {"x": torch.zeros(100)})
    os.utime(old, (1, 1))
    monkeypatch.setattr(pipelines, "CACHE_BYTES", 700)
    pipelines.write_tensors(new, {"x": torch.zeros(100)})
    assert (old.exists(), new.exists()) == (False, True)


def test_new_weights_of_the_autoencoder_make_new_cache_entries(family: Flux1, tmp_path: Path, tiny: BaseModel) -> None:
    before = family.fingerprint("vae")
    path = Path(tiny.path) / "vae" / "diffusion_pytorch_model.safetensors"
    kept = path.read_bytes()
    path.write_bytes(kept[:-4] + b"\0\0\0\1")
    after = family.fingerprint("vae")
    path.write_bytes(kept)
    assert before != after
    assert family.fingerprint("vae") == before


def test_text_encoders_are_gone_after_the_dataset_is_ready(train_spec: Make, family: Flux1, events: Events) -> None:
    Preparation(train_spec(), family, events, lambda: False).run()
    assert not {"text_encoder", "text_encoder_2"} & set(family._parts)


def test_pictures_of_one_aspect_share_a_bucket(train_spec: Make, family: Flux1, events: Events) -> None:
    data = Preparation(train_spec(), family, events, lambda: False).run()
    assert data.buckets() == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("caption", "word", "expected"),
    [
        ("a photo of ohwx, smiling", "woman", "a photo of a woman, smiling"),
        ("ohwx woman, smiling", "woman", "a woman, smiling"),
        ("a picture of an ohwx man", "man", "a picture of a man"),
        ("ohwx outdoors", "old man", "an old man outdoors"),
        ("ohwxs and more", "woman", "a photo of a woman"),
        ("smiling", "", "a photo of a person"),
    ],
)
def test_class_captions_say_the_same_of_somebody_else(caption: str, word: str, expected: str) -> None:
    assert class_caption(caption, "ohwx", word) == expected


def test_latents_decode_back_to_the_picture_shape(family: Flux1) -> None:
    latents = family.encode_images(torch.zeros(1, 3, 32, 48))
    assert latents.shape[1:] == family.latent_shape(48, 32)
    assert family.decode(latents).shape == (1, 3, 32, 48)


def test_an_unknown_family_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="No code here knows the model family"):
        families.load(BaseModel("x", "sd9", str(tmp_path)), torch.device("cpu"), torch.float32)


def test_class_pictures_come_from_the_cache_the_second_time(
    train_spec: Make, tiny: BaseModel, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (Flux1(tiny, torch.device("cpu"), torch.float32) for _ in range(2))
    first = Preparation(train_spec(class_images=2), one, events, lambda: False).run()
    monkeypatch.setattr(sampling, "draw", lambda *given, **named: pytest.fail("drawn again"))
    second = Preparation(train_spec(class_images=2), two, events, lambda: False).run()
    assert all(torch.equal(a.latents, b.latents) for a, b in zip(first.classes, second.classes, strict=True))


def test_the_cache_names_hold_no_file_name(train_spec: Make, family: Flux1, events: Events) -> None:
    spec = train_spec()
    Preparation(spec, family, events, lambda: False).run()
    names = {path.stem for path in (Path(spec.cache_dir) / "latents").iterdir()}
    assert all(len(name) == len(hashlib.sha256().hexdigest()) for name in names)
