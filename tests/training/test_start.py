"""Starting a training: what is frozen, and every way it is refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from characters.models import Character, ReferenceImage
from isengard import storage
from isengard.engine import catalog
from isengard.errors import Conflict, Invalid, Unavailable
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from tests.people import add_photo, make_character
from training import services
from training.models import TrainingRun


def start(character: Character, base: str = "pocket", preset: Any = "quick", **values: Any) -> TrainingRun:
    return services.start_training(character=character, preset=preset, base=base, values=values)


def refused(character: Character, **asked: Any) -> str:
    """The code of the refusal, after checking that nothing was left behind."""
    with pytest.raises((Invalid, Unavailable, Conflict)) as caught:
        start(character, **asked)
    assert not Job.objects.exists() and not list(storage.absolute("runs").glob("*"))
    return caught.value.code


def test_a_training_is_queued_with_every_parameter_frozen(mira: Character) -> None:
    run = start(mira, lora_rank=8)
    assert run.job.state == Job.State.QUEUED
    assert run.params["steps"] == 100 and run.params["lora_rank"] == 8 and run.params["seed"] == 42


def test_the_preset_keeps_its_name_until_one_of_its_values_is_changed(mira: Character) -> None:
    assert start(mira, lora_rank=8).preset == "quick"
    jobs.request_cancel(job=TrainingRun.objects.get().job)
    assert start(mira, steps=150).preset == "custom"


def test_photos_deleted_later_stay_in_the_run(mira: Character) -> None:
    run = start(mira)
    for image in mira.images.all():
        storage.remove(image.file)
    assert all(storage.absolute(photo["file"]).is_file() for photo in run.photos)


def test_captions_are_frozen_with_the_trigger_in_the_place_of_the_subject(mira: Character) -> None:
    add_photo(mira, 9, caption="a photo of a woman, smiling")
    run = start(mira)
    assert run.photos[0]["caption"] == "a photo of ohwxmira"
    assert run.photos[-1]["caption"] == "a photo of ohwxmira, smiling" and run.class_word == "woman"


def test_photos_kept_for_reference_are_not_trained_on(mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(split=ReferenceImage.Split.REFERENCE)
    assert len(start(mira).photos) == 2


def test_pictures_made_by_the_studio_are_trained_on_unless_the_user_says_no(mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(split=ReferenceImage.Split.SYNTHETIC)
    first = start(mira)
    jobs.request_cancel(job=first.job)
    asked: dict[str, Any] = {"character": mira, "preset": "quick", "base": "pocket", "values": {}}
    assert (len(first.photos), len(services.start_training(**asked, synthetic=False).photos)) == (3, 2)


def test_blocked_photos_are_not_trained_on(mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(verdict=ReferenceImage.Verdict.BLOCKED)
    assert len(start(mira).photos) == 2


def test_only_photos_that_may_not_be_trained_on_are_refused_with_that_reason(mira: Character) -> None:
    mira.images.update(split=ReferenceImage.Split.REFERENCE)
    with pytest.raises(Invalid, match="kept for reference"):
        start(mira)


def test_the_digest_is_that_of_the_stored_file(mira: Character) -> None:
    photo = start(mira).photos[0]
    assert photo["sha256"] == storage.sha256(storage.absolute(photo["file"]))


def test_no_photos_is_refused(mira: Character) -> None:
    mira.images.all().delete()
    assert refused(mira) == "no_images"


@pytest.mark.parametrize("values", [{"steps": 99}, {"steps": "many"}, {"lora_rank": 5}, {"learning_rate": 1}, {"x": 1}])
def test_impossible_values_are_refused(mira: Character, values: dict[str, Any]) -> None:
    assert refused(mira, **values) == "bad_param"


def test_a_parameter_of_other_systems_is_refused_with_the_reason(mira: Character) -> None:
    with pytest.raises(Invalid, match="flow"):
        start(mira, min_snr_gamma=5)


def test_a_knob_that_this_base_cannot_have_is_refused_with_the_reason(mira: Character) -> None:
    with pytest.raises(Invalid, match="no guidance input"):
        start(mira, training_guidance=3.5)


def test_steps_follow_the_number_of_photos_where_they_are_asked_for(mira: Character) -> None:
    assert start(mira, steps_per_image=50).params["steps"] == 50 * mira.images.count()


def test_another_method_than_lora_is_refused(mira: Character) -> None:
    assert refused(mira, method="dora") == "unsupported_method"


def test_an_unknown_base_is_refused(mira: Character) -> None:
    assert refused(mira, base="sdxl") == "unknown_base"


def test_a_base_that_cannot_be_trained_is_refused(mira: Character) -> None:
    assert refused(mira, base="flux-schnell") == "not_trainable"


def test_a_base_that_is_not_on_disk_is_refused_with_what_to_put_where(mira: Character) -> None:
    with pytest.raises(Unavailable, match=r"black-forest-labs/FLUX\.1-dev") as caught:
        start(mira, base="flux-dev")
    assert caught.value.code == "base_missing" and caught.value.status == 503


def test_a_full_disk_is_refused(mira: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "free_bytes", lambda: 1000)
    assert refused(mira) == "disk_full"


def test_a_photo_without_its_file_is_refused(mira: Character) -> None:
    storage.remove(mira.images.last().file)
    assert refused(mira) == "photo_missing"


def test_the_very_same_training_does_not_wait_twice(mira: Character) -> None:
    running = start(mira)
    with pytest.raises(Conflict, match=running.job.public_id) as caught:
        start(mira)
    assert caught.value.code == "already_training"


def test_one_character_may_have_many_trainings_waiting_each_with_its_own_settings(mira: Character) -> None:
    first, second = start(mira), start(mira, seed=7)
    add_photo(mira, 9)
    third = start(mira)
    assert [run.params["seed"] for run in (first, second, third)] == [42, 7, 42]
    assert [len(run.photos) for run in (first, second, third)] == [3, 3, 4]


def test_two_characters_may_wait_at_once(mira: Character) -> None:
    start(mira)
    assert start(make_character("Joon", "ohwxjoon")).job.state == Job.State.QUEUED


def test_few_photos_and_a_shared_trigger_are_warnings(mira: Character) -> None:
    make_character("Twin", mira.trigger_word, photos=0)
    few, shared = start(mira).warnings
    assert "Only 3 photos" in few and "trigger word" in shared


def test_a_retry_takes_the_frozen_photos_and_parameters(mira: Character) -> None:
    first = start(mira, seed=7)
    jobs.request_cancel(job=first.job)
    mira.images.all().delete()
    second = jobs.retry(job=Job.objects.get(pk=first.job_id)).training_run
    assert second.job.retry_of == first.job and second.params == first.params
    assert [p["sha256"] for p in second.photos] == [p["sha256"] for p in first.photos]
    assert storage.absolute(second.photos[0]["file"]).is_file()


def test_a_retry_waits_its_turn_too(mira: Character) -> None:
    first = start(mira)
    jobs.request_cancel(job=first.job)
    start(mira)
    with pytest.raises(Conflict):
        jobs.retry(job=Job.objects.get(pk=first.job_id))


def test_pocket_is_where_the_repository_puts_it() -> None:
    assert (catalog.POCKET / "model_index.json").is_file()


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_start_one_training(volume: Path) -> None:
    character = make_character()

    def click(_: int) -> str:
        try:
            return start(character).job.state
        except Conflict as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(click, range(4)))
    assert answers == ["already_training"] * 3 + ["queued"]
    assert Job.objects.count() == 1 and len(list(storage.absolute("runs").iterdir())) == 1
