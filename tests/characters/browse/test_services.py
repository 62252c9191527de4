"""Bulk changes: what is chosen, the bin and its undo, splits, moves."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.http import QueryDict
from django.utils import timezone

from characters import services as characters
from characters import tasks, thumbnails
from characters.browse import binning, selection, services
from characters.models import Character, ReferenceImage
from isengard import storage
from isengard.errors import Invalid
from tests.people import add_photo, make_character


@pytest.fixture
def mira(db: None, volume: Path) -> Character:
    return make_character("Mira", photos=3)


@pytest.fixture
def joon(mira: Character) -> Character:
    return make_character("Joon", "ohwxjoon", photos=0)


def late() -> None:
    """As if a minute had passed for everything in the bin."""
    ReferenceImage.everything.binned().update(deleted_at=timezone.now() - timedelta(seconds=61))


def files(character: Character) -> list[str]:
    folder = storage.absolute(f"characters/{character.public_id}")
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_named_photos_are_chosen(mira: Character) -> None:
    ids = [image.public_id for image in mira.images.all()[:2]]
    assert set(selection.chosen({"image_ids": ids})) == set(mira.images.filter(public_id__in=ids))


def test_a_form_names_photos_by_repeating_the_field(mira: Character) -> None:
    first, second, _ = mira.images.all()
    assert selection.chosen(QueryDict(f"image_ids={first.public_id}&image_ids={second.public_id}")).count() == 2


def test_all_of_a_filter_are_chosen_but_those_taken_out(mira: Character, joon: Character) -> None:
    add_photo(joon, 9)
    out = mira.images.first()
    assert out is not None
    data = {"all": "1", "character": mira.public_id, "except_ids": [out.public_id]}
    assert set(selection.chosen(data)) == set(mira.images.exclude(pk=out.pk))


@pytest.mark.parametrize("data", [{}, {"image_ids": []}, {"all": "0"}, {"all": "1", "split": "trian"}])
def test_a_selection_that_says_nothing_or_nonsense_is_refused(db: None, data: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        selection.chosen(data)


def test_too_many_names_are_refused(db: None) -> None:
    with pytest.raises(Invalid, match="2,000"):
        selection.chosen({"image_ids": [f"img-{number:012x}" for number in range(2001)]})


def test_the_bin_hides_photos_everywhere_and_undo_brings_them_back(mira: Character) -> None:
    binned = services.bin_images(mira.images.filter(name="photo-1.png"))
    assert (binned.count, mira.images.count()) == (1, 2)
    assert services.restore_images(binned.undo) == services.Restored(1, 0)
    assert mira.images.count() == 3


def test_undo_brings_back_its_own_call_only(mira: Character) -> None:
    services.bin_images(mira.images.filter(name="photo-0.png"))
    undo = services.bin_images(mira.images.filter(name="photo-1.png")).undo
    services.restore_images(undo)
    assert set(mira.images.values_list("name", flat=True)) == {"photo-1.png", "photo-2.png"}


def test_undo_gives_a_new_name_where_the_old_one_is_taken(mira: Character) -> None:
    undo = services.bin_images(mira.images.filter(name__in=["photo-0.png", "photo-1.png"])).undo
    mira.images.filter(name="photo-2.png").update(name="photo-0.png")
    assert services.restore_images(undo).count == 2
    assert set(mira.images.values_list("name", flat=True)) == {"photo-0.png", "photo-0-2.png", "photo-1.png"}


def test_undo_leaves_out_what_was_uploaded_again(mira: Character) -> None:
    one = mira.images.get(name="photo-0.png")
    undo = services.bin_images(mira.images.filter(pk=one.pk)).undo
    mira.images.filter(name="photo-1.png").update(sha256=one.sha256)
    assert services.restore_images(undo) == services.Restored(0, 1)


@pytest.mark.parametrize("undo", ["", "x", "-1", "9" * 40, "1"])
def test_undo_of_nothing_says_that_it_is_too_late(db: None, undo: str) -> None:
    with pytest.raises(Invalid, match="too late"):
        services.restore_images(undo)


@pytest.mark.django_db(transaction=True)
def test_the_sweep_erases_rows_and_files_after_a_minute(volume: Path) -> None:
    mira = make_character("Mira", photos=2)
    services.bin_images(mira.images.filter(name="photo-0.png"))
    tasks.sweep()
    assert len([name for name in files(mira) if "-256" not in name and "-512" not in name]) == 2
    late()
    tasks.sweep()
    assert ReferenceImage.everything.count() == 1
    assert {name[:16] for name in files(mira)} == {mira.images.get().public_id}


def test_what_was_restored_is_never_purged(mira: Character) -> None:
    services.restore_images(services.bin_images(mira.images.all()).undo)
    late()
    assert binning.purge() == 0
    assert mira.images.count() == 3


def test_a_character_goes_with_what_is_in_its_bin(mira: Character) -> None:
    services.bin_images(mira.images.filter(name="photo-0.png"))
    characters.delete_character(character=mira, typed_name="Mira")
    assert not ReferenceImage.everything.exists()


def test_a_split_counts_only_what_it_changed(mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(split="reference")
    assert services.set_split(mira.images.all(), "reference") == 2
    assert set(mira.images.values_list("split", flat=True)) == {"reference"}


def test_an_unknown_split_is_refused(mira: Character) -> None:
    with pytest.raises(Invalid):
        services.set_split(mira.images.all(), "validation")


def test_the_trainer_is_given_train_and_synthetic_photos_unless_told_otherwise(mira: Character) -> None:
    for name, split in [("photo-0.png", "reference"), ("photo-1.png", "synthetic")]:
        mira.images.filter(name=name).update(split=split)
    assert [image.name for image in mira.images.for_training()] == ["photo-1.png", "photo-2.png"]
    assert [image.name for image in mira.images.for_training(synthetic=False)] == ["photo-2.png"]


def test_the_trainer_is_never_given_what_is_blocked(mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(verdict="blocked")
    assert mira.images.for_training().count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_move_takes_every_file_along(volume: Path) -> None:
    mira, joon = make_character("Mira", photos=1), make_character("Joon", "ohwxjoon", photos=0)
    image = mira.images.get()
    thumbnails.make(image)
    mask = storage.absolute(storage.mask_key(mira.public_id, image.public_id))
    mask.parent.mkdir()
    mask.write_bytes(b"mask")
    mira.images.update(mask=storage.key_of(mask))
    before = files(mira)
    assert services.move_images(mira.images.all(), joon).count == 1
    assert (files(joon), files(mira)) == (before, [])
    assert not any([joon.images.get().missing, not storage.absolute(joon.images.get().mask).is_file()])


def test_a_move_leaves_the_same_picture_behind_and_says_so(mira: Character, joon: Character) -> None:
    add_photo(joon, 1)
    moved = services.move_images(mira.images.all(), joon)
    assert moved == services.Moved(2, ["photo-1.png"])
    assert (mira.images.count(), joon.images.count()) == (1, 3)


def test_a_move_gives_a_free_name(mira: Character, joon: Character) -> None:
    add_photo(joon, 7)
    joon.images.update(name="photo-0.png")
    services.move_images(mira.images.filter(name="photo-0.png"), joon)
    assert set(joon.images.values_list("name", flat=True)) == {"photo-0.png", "photo-0-2.png"}


def test_a_move_to_where_they_are_changes_nothing(mira: Character) -> None:
    assert services.move_images(mira.images.all(), mira) == services.Moved(0, [])


def test_a_photo_without_its_file_can_still_be_moved(mira: Character, joon: Character) -> None:
    image = mira.images.get(name="photo-0.png")
    storage.remove(image.file)
    services.move_images(mira.images.filter(pk=image.pk), joon)
    assert joon.images.get().missing
