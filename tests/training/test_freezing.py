"""What a training takes of photos with crops and masks, and that later changes cannot reach it."""

from pathlib import Path

import pytest
from django.db.models import QuerySet

from characters.framing import crops
from characters.models import Character, ReferenceImage
from isengard import storage
from isengard.engine.specs import TrainImage
from isengard.jobs import services as jobs
from training import freezing, services
from training.models import TrainingRun


def start(character: Character, **values: object) -> TrainingRun:
    return services.start_training(character=character, preset="quick", base="pocket", values=values)


def samples(run: TrainingRun) -> list[TrainImage]:
    return [sample for photo in run.photos for sample in freezing.samples(photo)]


@pytest.fixture
def photo(mira: Character) -> ReferenceImage:
    """The first photo, with a mask."""
    image = mira.images.order_by("id")[0]
    image.mask = storage.mask_key(mira.public_id, image.public_id)
    path = storage.absolute(image.mask)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"first mask")
    image.save(update_fields=["mask"])
    return image


def test_a_photo_without_crops_is_trained_on_as_a_whole(mira: Character) -> None:
    assert {(sample.crop, sample.mask) for sample in samples(start(mira))} == {(None, None)}


def test_the_main_crop_replaces_the_photo(photo: ReferenceImage, mira: Character) -> None:
    crops.save(image=photo, kind="main", box=(0.1, 0.2, 0.5, 0.5))
    assert [sample.crop for sample in samples(start(mira))] == [(0.1, 0.2, 0.5, 0.5), None, None]


def test_further_crops_are_further_samples_that_say_what_they_show(photo: ReferenceImage, mira: Character) -> None:
    crops.save(image=photo, kind="face", box=(0.1, 0.2, 0.5, 0.5))
    run = start(mira)
    assert [sample.caption for sample in samples(run)[:2]] == [
        "a photo of ohwxmira",
        "a photo of ohwxmira, close-up of the face",
    ]
    assert len(run.photos) == 3


def test_a_crop_that_is_turned_off_is_not_trained_on(photo: ReferenceImage, mira: Character) -> None:
    crops.save(image=photo, kind="main", box=(0.1, 0.2, 0.5, 0.5), enabled=False)
    assert samples(start(mira))[0].crop is None


def test_masks_go_along_only_when_the_background_counts_less(photo: ReferenceImage, mira: Character) -> None:
    assert samples(start(mira))[0].mask is None
    jobs.request_cancel(job=TrainingRun.objects.get().job)
    assert samples(start(mira, masked_loss=0.2))[0].mask is not None


def test_a_mask_painted_over_later_does_not_change_the_run(photo: ReferenceImage, mira: Character) -> None:
    sample = samples(start(mira, masked_loss=0.2))[0]
    storage.absolute(photo.mask).write_bytes(b"second mask")
    assert Path(str(sample.mask)).read_bytes() == b"first mask"


def test_a_retry_has_masks_and_crops_of_its_own(photo: ReferenceImage, mira: Character) -> None:
    crops.save(image=photo, kind="main", box=(0.1, 0.2, 0.5, 0.5))
    first = start(mira, masked_loss=0.2)
    jobs.request_cancel(job=first.job)
    sample = samples(services.again(run=first))[0]
    assert sample.crop == (0.1, 0.2, 0.5, 0.5)
    assert first.job.public_id not in str(sample.mask)


def test_a_run_frozen_before_there_were_crops_can_still_be_read(mira: Character) -> None:
    photo = {key: value for key, value in start(mira).photos[0].items() if key not in {"crops", "mask"}}
    assert [(sample.crop, sample.mask) for sample in freezing.samples(photo)] == [(None, None)]


@pytest.mark.parametrize(("masked", "said"), [(0, "None of the photos has a mask"), (1, "2 of 3 photos do not have")])
def test_photos_without_a_mask_are_told(mira: Character, photo: ReferenceImage, masked: int, said: str) -> None:
    found: QuerySet[ReferenceImage] = mira.images.all()
    if not masked:
        found.update(mask="")
    assert start(mira, masked_loss=0.2).warnings[-1].startswith(said)
