"""What a training sees of a photo and of its mask: crops, buckets, weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from isengard.engine import fitting
from isengard.engine.errors import EngineError
from isengard.engine.fitting import Bucket
from isengard.engine.specs import TrainImage, TrainSpec, spec_from_dict
from isengard.engine.trainer.data import load_pixels, load_weights
from isengard.engine.trainer.loop import Training, weighted_error
from tests.engine.conftest import Events

SMALL = Bucket(32, 8)


@pytest.fixture
def halves(tmp_path: Path) -> TrainImage:
    """Black on the left, white on the right; the mask says that the person is the right half."""
    picture, mask = Image.new("RGB", (80, 40)), Image.new("L", (80, 40))
    for image, white in ((picture, "white"), (mask, 255)):
        image.paste(white, (40, 0, 80, 40))
    picture.save(tmp_path / "photo.png")
    mask.save(tmp_path / "mask.png")
    return TrainImage(str(tmp_path / "photo.png"), "0", "", mask=str(tmp_path / "mask.png"))


@pytest.fixture
def weights(halves: TrainImage) -> Callable[..., torch.Tensor | None]:
    """The weights of the right half's mask in a latent of 4 rows and 8 columns, or 4 x 4 for a square crop."""

    def of(background: float, **changes: object) -> torch.Tensor | None:
        image = replace(halves, **changes)  # type: ignore[arg-type]
        return load_weights(image, SMALL, torch.zeros(4, 4, 4 if image.crop else 8), background)

    return of


def test_a_crop_is_what_is_trained_on(halves: TrainImage) -> None:
    right = load_pixels(replace(halves, crop=(0.5, 0.0, 0.5, 1.0)), 32, 8)
    assert right.shape == (1, 3, 32, 32)
    assert right.min().item() == 1.0


def test_a_crop_has_latents_of_its_own(train_spec: Callable[..., TrainSpec], events: Events) -> None:
    spec = train_spec()
    cut = replace(spec, images=tuple(replace(image, crop=(0.0, 0.0, 0.5, 0.5)) for image in spec.images))
    whole, part = (Training(one, events, lambda: False).data.images[0].latents for one in (spec, cut))
    assert not torch.equal(whole, part)


def test_the_page_shows_the_very_pixels_that_are_trained_on(halves: TrainImage) -> None:
    crop = (0.1, 0.2, 0.5, 0.7)
    shown = fitting.picture(halves.path, SMALL, crop)
    trained = ((load_pixels(replace(halves, crop=crop), 32, 8)[0] + 1) * 127.5).round().byte()
    assert trained.permute(1, 2, 0).numpy().tobytes() == shown.tobytes()


@pytest.mark.parametrize("crop", [(0.999, 0.999, 0.001, 0.001), (0.5, 0.5, 0.9, 0.9), (0.0, 0.0, 0.0001, 1.0)])
def test_every_crop_is_at_least_a_pixel_inside_the_picture(crop: fitting.Box) -> None:
    left, top, right, bottom = fitting.pixel_box(crop, 80, 40)
    assert 0 <= left < right <= 80
    assert 0 <= top < bottom <= 40


def test_the_background_counts_a_tenth_of_the_person_and_the_mean_stays_one(
    weights: Callable[..., torch.Tensor],
) -> None:
    found = weights(0.1)
    assert found.mean().item() == pytest.approx(1.0)
    assert (found[0, 0, 0] / found[0, 0, -1]).item() == pytest.approx(0.1)


def test_the_mask_is_cut_as_the_picture_is(weights: Callable[..., torch.Tensor]) -> None:
    assert weights(0.1, crop=(0.5, 0.0, 0.5, 1.0)).unique().tolist() == [1.0]


def test_a_crop_without_the_person_counts_evenly_instead_of_dividing_by_zero(
    weights: Callable[..., torch.Tensor | None],
) -> None:
    assert weights(0.0, crop=(0.0, 0.0, 0.5, 1.0)) is None


def test_a_mask_of_another_size_is_refused_with_both_sizes(halves: TrainImage) -> None:
    Image.new("L", (30, 30)).save(str(halves.mask))
    with pytest.raises(EngineError, match="30×30 pixels, but the photo has 80×40 pixels") as caught:
        load_weights(halves, SMALL, torch.zeros(4, 4, 8), 0.1)
    assert caught.value.code == "mask_size"


def test_a_damaged_mask_is_a_sentence(halves: TrainImage) -> None:
    Path(str(halves.mask)).write_bytes(b"no picture")
    with pytest.raises(EngineError, match=r"mask\.png cannot be read"):
        load_weights(halves, SMALL, torch.zeros(4, 4, 8), 0.1)


def test_errors_in_the_background_count_less() -> None:
    wanted, mask = torch.zeros(1, 2, 1, 2), torch.tensor([[[1.8, 0.2]]])
    person, background = (
        weighted_error(torch.tensor([[[one], [one]]]), wanted, [mask]) for one in ([1.0, 0], [0, 1.0])
    )
    assert (background / person).item() == pytest.approx(1 / 9)


def test_pictures_with_and_without_masks_share_a_batch() -> None:
    given, wanted = torch.ones(2, 1, 1, 2), torch.zeros(2, 1, 1, 2)
    assert weighted_error(given, wanted, [None, torch.tensor([[[2.0, 0.0]]])]).item() == pytest.approx(1.0)


def test_crops_and_masks_survive_the_way_to_the_engine(train_spec: Callable[..., TrainSpec]) -> None:
    import json

    spec = train_spec()
    spec = replace(spec, images=tuple(replace(image, crop=(0.0, 0.25, 0.5, 0.5)) for image in spec.images))
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
