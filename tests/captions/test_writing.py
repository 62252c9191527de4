"""Jobs in which a model writes captions."""

from pathlib import Path
from typing import Any

import pytest

from characters.captions import services, writing
from characters.captions.handlers import CaptionHandler
from characters.models import Character, DatasetTask, ReferenceImage
from isengard.engine.specs import CaptionSpec
from isengard.errors import Invalid, Unavailable
from isengard.jobs import services as jobs
from isengard.jobs.models import Job


@pytest.fixture(autouse=True)
def models(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A captioner called mine that looks complete; nothing here runs it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    settings.MODELS_DIR = tmp_path / "models"
    folder = settings.MODELS_DIR / "captioners" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "blip"}')
    for name in ("model.safetensors", "tokenizer.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")


def hear(task: DatasetTask, *texts: str, model: str = "mine") -> None:
    """What the engine says of the first photos."""
    for index, text in enumerate(texts):
        CaptionHandler().on_event(task.job, {"type": "caption", "index": index, "model": model, "text": text})


def captions(character: Character) -> list[str]:
    return list(character.images.order_by("pk").values_list("caption", flat=True))


def test_a_job_writes_only_where_nothing_is_written(mira: Character, photo: ReferenceImage) -> None:
    services.write(image=photo, text="by hand", by="user")
    hear(writing.start_all(character=mira, model="mine"), "a beach", "a car")
    assert captions(mira) == ["by hand", "a beach", "a car"]


def test_a_model_may_replace_what_a_model_wrote_but_not_what_a_person_wrote(mira: Character) -> None:
    first, second, third = mira.images.order_by("pk")
    services.write(image=first, text="by hand", by="user")
    services.write(image=second, text="by model", by="model")
    services.write(image=third, text="edited", by="bulk")
    hear(writing.start_all(character=mira, model="mine", mode="machine"), "new")
    assert captions(mira) == ["by hand", "new", "edited"]


def test_what_a_person_writes_meanwhile_stays(mira: Character, photo: ReferenceImage) -> None:
    task = writing.start_all(character=mira, model="mine")
    services.write(image=photo, text="by hand", by="user")
    hear(task, "by model")
    task.refresh_from_db()
    assert (captions(mira)[0], task.options["kept"], task.options["written"]) == ("by hand", 1, 0)


def test_asked_to_a_model_replaces_everything_and_the_old_text_stays_a_version(
    mira: Character, photo: ReferenceImage
) -> None:
    services.write(image=photo, text="by hand", by="user")
    hear(writing.start_all(character=mira, model="mine", mode="all"), "by model")
    assert list(photo.caption_versions.order_by("id").values_list("text", flat=True)) == ["by hand", "by model"]


def test_lasting_traits_are_left_out_unless_asked_for(mira: Character) -> None:
    hear(writing.start_all(character=mira, model="mine"), "a woman with red hair, smiling")
    hear(writing.start_all(character=mira, model="mine", strip=False), "a man with red hair")
    assert captions(mira)[:2] == ["a woman, smiling", "a man with red hair"]


def test_a_try_looks_at_three_photos_and_changes_nothing(mira: Character) -> None:
    task = writing.start_try(character=mira, models=["mine"])
    hear(task, "one", "two", "three")
    task.refresh_from_db()
    assert [task.options["results"][key]["mine"] for key in task.options["images"]] == ["one", "two", "three"]
    assert captions(mira) == ["", "", ""]


def test_the_engine_is_told_the_model_and_where_the_photos_are(mira: Character, photo: ReferenceImage) -> None:
    task = writing.start_all(character=mira, model="mine", detail="long")
    spec = CaptionSpec.from_dict(CaptionHandler().spec(task.job))
    assert (spec.models[0].kind, spec.models[0].detail) == ("blip", "short")
    assert spec.images[0].path.endswith(photo.file)


def test_a_second_attempt_goes_on_where_the_first_was_lost(mira: Character) -> None:
    task = writing.start_all(character=mira, model="mine")
    hear(task, "one", "two")
    assert [image.index for image in CaptionSpec.from_dict(CaptionHandler().spec(task.job)).images] == [2]


def test_a_photo_that_cannot_be_read_is_named_at_the_end(mira: Character) -> None:
    task = writing.start_all(character=mira, model="mine")
    event = {"type": "caption", "index": 0, "model": "mine", "text": "", "error": "It is damaged."}
    CaptionHandler().on_event(task.job, event)
    assert CaptionHandler().finish(task.job, {})["message"] == "0 captions written, 1 photo could not be read."


def test_a_retry_asks_for_the_same(mira: Character) -> None:
    task = writing.start_all(character=mira, model="mine", detail="short")
    Job.objects.filter(pk=task.job.pk).update(state="failed")
    again = DatasetTask.objects.get(job=jobs.retry(job=Job.objects.get(pk=task.job.pk)))
    assert (again.options["images"], again.options["detail"]) == (task.options["images"], "short")


def test_deleting_the_character_takes_its_captioning_along(mira: Character) -> None:
    from characters.services import delete_character

    task = writing.start_all(character=mira, model="mine")
    jobs.request_cancel(job=task.job)
    delete_character(character=mira, typed_name=mira.name)
    assert not Job.objects.filter(pk=task.job.pk).exists()


def test_with_every_caption_written_there_is_nothing_to_do(mira: Character) -> None:
    services.change_all(images=mira.images.all(), change=lambda image: "x", by="bulk")
    with pytest.raises(Invalid, match="nothing to write"):
        writing.start_all(character=mira, model="mine")


def test_an_absent_model_says_where_to_put_it(mira: Character) -> None:
    with pytest.raises(Unavailable, match="Download Salesforce/blip-image-captioning-base"):
        writing.start_all(character=mira, model="blip-base")
