"""Characters as people change them: what a name and a trigger word may be, and what goes when one is deleted."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from characters import services
from characters.models import Character, ReferenceImage
from characters.sample import ensure_sample_character
from generation.models import Generation
from isengard import storage
from isengard.engine.pocket.faces import sample_photos
from isengard.errors import Conflict, Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from tests.characters.conftest import Upload
from tests.pictures import encoded, picture


@pytest.mark.parametrize("word", ["two words", "a,b", "x", "y" * 51, "", "a b", "<b>", "a\nb", "a/b", "🙂🙂"])
def test_a_trigger_word_that_training_cannot_use_is_refused(db: None, word: str) -> None:
    with pytest.raises(Invalid, match="without spaces or commas"):
        services.create_character(name="Mira", trigger_word=word)


@pytest.mark.parametrize("word", ["ohwx", "e2e_mira", "a-1", "Zoë", "  ohwx "])
def test_a_single_plain_word_is_a_trigger(db: None, word: str) -> None:
    assert services.create_character(name="Mira", trigger_word=word).trigger_word == word.strip()


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\x00b"])
def test_a_name_that_cannot_be_shown_is_refused(db: None, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        services.create_character(name=name, trigger_word="ohwx")
    assert caught.value.code == "bad_name"


def test_markup_in_a_name_is_kept_as_text(db: None) -> None:
    assert services.create_character(name="<script>", trigger_word="ohwx").name == "<script>"


def test_deleting_asks_for_the_exact_name(character: Character) -> None:
    with pytest.raises(Invalid, match="Type Mira exactly"):
        services.delete_character(character=character, typed_name="mira")
    assert Character.objects.filter(pk=character.pk).exists()


def with_job(character: Character) -> Job:
    job = jobs.submit(kind="generation", label="Pictures of Mira")
    Generation.objects.create(job=job, character=character, base="pocket", prompt="a photo", params={}, count=1)
    return job


def test_a_character_with_a_running_job_is_not_deleted(character: Character) -> None:
    with_job(character)
    with pytest.raises(Conflict, match="Cancel it first"):
        services.delete_character(character=character, typed_name="Mira")
    assert Character.objects.filter(pk=character.pk).exists()


def test_deleting_takes_rows_jobs_and_files_along(
    character: Character, upload: Upload, volume: Path, django_capture_on_commit_callbacks: Any
) -> None:
    upload()
    job = with_job(character)
    jobs.request_cancel(job=job)
    picture_file = storage.absolute(f"{storage.output_key(job.public_id)}/0.png")
    picture_file.parent.mkdir(parents=True)
    picture_file.write_bytes(b"x")
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_character(character=character, typed_name="Mira")
    assert not (Job.objects.exists() or ReferenceImage.objects.exists() or Generation.objects.exists())
    assert not (picture_file.exists() or (volume / "characters" / character.public_id).exists())


def test_another_characters_things_stay(
    character: Character, upload: Upload, django_capture_on_commit_callbacks: Any
) -> None:
    upload()
    other = services.create_character(name="Other", trigger_word="ohwx")
    jobs.request_cancel(job=with_job(character))
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_character(character=other, typed_name="Other")
    assert Job.objects.count() == 1
    assert storage.absolute(character.images.get().file).exists()


def test_photos_of_another_character_are_not_deleted_by_id(character: Character, upload: Upload) -> None:
    upload()
    other = services.create_character(name="Other", trigger_word="ohwx")
    assert services.delete_images(character=other, image_ids=[character.images.get().public_id]) == 0


def test_several_photos_are_deleted_at_once(character: Character, upload: Upload) -> None:
    upload(*[(f"{width}.png", encoded(picture(width))) for width in (70, 80, 90)])
    chosen = list(character.images.values_list("public_id", flat=True))[:2]
    assert services.delete_images(character=character, image_ids=chosen) == 2
    assert character.images.count() == 1


def test_the_sample_character_has_photos_with_captions(db: None, volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("characters.sample.sample_photos", partial(sample_photos, 64, 3))
    call_command("sample", verbosity=0)
    mira = Character.objects.get(is_sample=True)
    assert mira.images.count() == 3
    assert all(mira.trigger_word in image.caption for image in mira.images.all())


def test_the_sample_character_is_made_once_and_not_again_after_deletion(
    db: None, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("characters.sample.sample_photos", lambda name: [("mira-01.png", picture(), "a photo of ohwx")])
    mira = ensure_sample_character()
    assert mira is not None
    assert ensure_sample_character() is None
    services.delete_character(character=mira, typed_name="Mira")
    assert ensure_sample_character() is None
    assert Character.objects.count() == 0
