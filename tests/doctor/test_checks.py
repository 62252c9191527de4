"""When photos are looked at, by the real engine: after uploads, on demand, once; what stays through it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from PIL import Image, ImageFilter

from characters.browse.binning import bin_images
from characters.doctor import bell, copies, services, writing
from characters.doctor.handlers import ExamineHandler
from characters.models import Character, Examination, ReferenceImage
from isengard import storage
from isengard.errors import Invalid
from isengard.jobs.models import Job
from tests.doctor.conftest import Add, examine, portrait, told

pytestmark = pytest.mark.django_db


def long_ago(**times: float) -> None:
    ReferenceImage.objects.update(created_at=timezone.now() - timedelta(**times))


def verdicts() -> dict[str, str]:
    return dict(ReferenceImage.objects.values_list("original_name", "verdict"))


def test_a_batch_of_uploads_is_one_job(character: Character, add: Add) -> None:
    for colour in ("red", "green", "blue"):
        add(Image.new("RGB", (64, 64), colour), f"{colour}.png")
        services.attend(character=character.pk)
    assert Job.objects.count() == 0
    long_ago(seconds=bell.QUIET_SECONDS)
    job = services.attend(character=character.pk)
    assert job is not None and services.to_examine(job).count() == 3


def test_a_long_batch_does_not_wait_for_its_end(character: Character, add: Add) -> None:
    add(Image.new("RGB", (64, 64)), "first.png")
    long_ago(seconds=bell.PATIENCE_SECONDS)
    add(Image.new("RGB", (64, 64), "red"), "just.png")
    assert services.attend(character=character.pk) is not None


def test_while_a_check_waits_or_runs_no_second_one_is_asked_for(character: Character, add: Add) -> None:
    add(portrait())
    long_ago(minutes=1)
    assert services.attend(character=character.pk) and services.attend(character=character.pk) is None


def test_what_came_while_a_check_ran_is_looked_at_next(character: Character, add: Add) -> None:
    add(portrait())
    first = services.check_again(character=character)
    spec = ExamineHandler().spec(first)
    late = add(Image.new("RGB", (64, 64)), "late.png")
    assert late.pk not in {image["index"] for image in spec["images"]} and late in services.unchecked(character.pk)


def test_mixed_photos_get_the_verdicts_they_deserve(character: Character, add: Add) -> None:
    add(portrait(), "good.png")
    add(portrait().filter(ImageFilter.GaussianBlur(3)).transpose(Image.Transpose.FLIP_LEFT_RIGHT), "blurred.png")
    add(portrait().transpose(Image.Transpose.ROTATE_90), "sideways.png")
    add(Image.new("RGB", (20, 20)), "tiny.png")
    examine(character)
    assert verdicts() == {
        "good.png": "ready", "blurred.png": "attention", "sideways.png": "attention", "tiny.png": "blocked",
    }  # fmt: skip


def test_the_lesser_of_two_copies_is_pointed_out(character: Character, add: Add) -> None:
    best = add(portrait(), "large.png")
    lesser = add(portrait().resize((300, 300)), "small.png")
    examine(character)
    ((kept, others),) = copies.copies_of(character=character)
    assert (kept, others, verdicts()["large.png"]) == (best, [lesser], "ready")


def test_without_its_original_a_copy_is_one_no_longer(character: Character, add: Add) -> None:
    best = add(portrait(), "large.png")
    add(portrait().resize((300, 300)), "small.png")
    examine(character)
    bin_images(ReferenceImage.objects.filter(pk=best.pk))
    services.attend(character=character.pk)
    assert verdicts() == {"small.png": "ready"}


def test_a_file_that_vanished_is_blocked_and_marked_missing(character: Character, add: Add) -> None:
    image = add(portrait())
    storage.remove(image.file)
    examine(character)
    image.refresh_from_db()
    assert (image.verdict, image.missing_at is None) == ("blocked", False)


def test_a_file_that_went_or_came_back_is_looked_at_again(character: Character, add: Add) -> None:
    image = add(Image.new("RGB", (64, 64)))
    writing.record(character=character.pk, answers=[told(image)])
    ReferenceImage.objects.update(missing_at=timezone.now() - timedelta(minutes=2))
    assert services.left_alone() == [character.pk] and services.unchecked(character.pk).exists()
    writing.record(character=character.pk, answers=[{"index": image.pk, "code": "missing", "reason": ""}])
    assert not services.unchecked(character.pk).exists()
    ReferenceImage.objects.update(missing_at=None)
    assert services.unchecked(character.pk).exists()


def test_keeping_anyway_outlives_another_check(character: Character, add: Add) -> None:
    image = add(portrait().filter(ImageFilter.GaussianBlur(3)))
    examine(character)
    for code in [one["code"] for one in image.examination.findings]:
        writing.wave_through(image=image, code=code)
    examine(character)
    assert verdicts() == {"photo.png": "ready"}


def test_minding_a_finding_again_brings_the_verdict_back(character: Character, add: Add) -> None:
    image = add(Image.new("RGB", (64, 64)))
    writing.record(character=character.pk, answers=[told(image, faces=[], sharpness=5.0)])
    writing.wave_through(image=image, code="blurred")
    writing.wave_through(image=image, code="blurred", ignored=False)
    assert image.verdict == "attention"


def test_a_missing_file_cannot_be_waved_through(character: Character, add: Add) -> None:
    image = add(Image.new("RGB", (64, 64)))
    writing.record(character=character.pk, answers=[{"index": image.pk, "code": "missing", "reason": ""}])
    with pytest.raises(Invalid, match="upload it again"):
        writing.wave_through(image=image, code="missing")


def test_an_answer_about_a_photo_that_is_gone_changes_nothing(character: Character, add: Add) -> None:
    image = add(Image.new("RGB", (64, 64)))
    ReferenceImage.everything.filter(pk=image.pk).delete()
    writing.record(character=character.pk, answers=[told(image)])
    assert not Examination.objects.exists()


def test_a_job_taken_up_again_does_not_repeat_what_was_done(character: Character, add: Add) -> None:
    image = add(Image.new("RGB", (64, 64)))
    job = services.check_again(character=character)
    writing.record(character=character.pk, answers=[told(image)])
    assert not services.to_examine(job).exists()


def test_another_version_of_the_thresholds_makes_photos_unchecked(character: Character, add: Add) -> None:
    image = add(Image.new("RGB", (64, 64)))
    writing.record(character=character.pk, answers=[told(image)])
    assert not services.unchecked(character.pk).exists()
    Examination.objects.update(version=0)
    assert services.unchecked(character.pk).get() == image


def test_the_end_of_a_check_counts_the_verdicts(character: Character, add: Add) -> None:
    add(portrait())
    result = examine(character)
    assert (result["photos"], result["ready"], result["blocked"]) == (1, 1, 0)


def test_a_retry_asks_for_what_was_not_reached(character: Character, add: Add) -> None:
    image, other = add(Image.new("RGB", (64, 64))), add(Image.new("RGB", (64, 64), "red"), "other.png")
    writing.record(character=character.pk, answers=[told(image), told(other)])
    (job,) = services.request(images=ReferenceImage.objects.filter(pk=image.pk))
    assert services.to_examine(ExamineHandler().resubmit(job)).get() == image


@pytest.fixture
def three(character: Character, add: Add, monkeypatch: pytest.MonkeyPatch) -> Character:
    """A character with three photos, where a job takes two."""
    monkeypatch.setattr(services, "MOST_PER_JOB", 2)
    for colour in ("red", "green", "blue"):
        add(Image.new("RGB", (64, 64), colour), f"{colour}.png")
    long_ago(minutes=1)
    return character


def test_many_photos_are_several_jobs_and_the_time_left_is_that_of_all(three: Character) -> None:
    first = ExamineHandler().spec(services.check_again(character=three))
    examine(three)
    second = services.attend(character=three.pk)
    assert second is not None
    spec = ExamineHandler().spec(second)
    told_of = [(len(one["images"]), one["before"], one["after"]) for one in (first, spec)]
    assert told_of == [(2, 0, 1), (1, 2, 0)]


def test_the_rest_of_many_is_found_when_no_bell_rang(three: Character) -> None:
    examine(three)
    ReferenceImage.objects.update(verdict="ready")
    Job.objects.update(finished_at=timezone.now() - timedelta(minutes=5))
    assert services.left_alone() == [three.pk]


def test_the_sample_character_needs_no_attention(db: None, volume: object) -> None:
    from characters.sample import ensure_sample_character

    mira = ensure_sample_character()
    assert mira is not None
    result = examine(mira)
    assert (result["photos"], result["ready"]) == (12, 12)
